"""Drift by evidently's preset; found: how many columns it calls drifted."""

import measured
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def check(folder, rules):
    columns = [rule["name"] for rule in rules if rule["kind"] != "id"]
    reference, current = (pd.read_parquet(folder / f"{name}.parquet", columns=columns) for name in ("reference", "current"))
    found = Report([DataDriftPreset()]).run(current, reference).dict()
    return next(one["value"]["count"] for one in found["metrics"] if "DriftedColumnsCount" in str(one.get("metric_name", one)))


if __name__ == "__main__":
    measured.main(check)
