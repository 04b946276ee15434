"""Drift by evidently's bare statistic, PSI, a column at a time; found: how many columns lie above 0.2."""

import measured
import pandas as pd
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType

TYPES = {"number": ColumnType.Numerical, "category": ColumnType.Categorical}


def check(folder, rules):
    columns = {rule["name"]: TYPES[rule["kind"]] for rule in rules if rule["kind"] != "id"}
    reference, current = (pd.read_parquet(folder / f"{name}.parquet", columns=list(columns)) for name in ("reference", "current"))
    above = [psi_stat_test(reference[name], current[name], kind, 0.2).drift_score > 0.2 for name, kind in columns.items()]
    return above.count(True)


if __name__ == "__main__":
    measured.main(check)
