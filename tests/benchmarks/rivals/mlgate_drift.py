"""Drift by mlgate, both tables read; found: how many columns alert."""

import measured

from mlgate.drift import profile, verdict
from mlgate.tables.scan import scan


def check(folder, rules):
    columns = [rule["name"] for rule in rules if rule["kind"] != "id"]
    reference, current = (profile.of_table(scan(folder, f"{name}.parquet"), columns) for name in ("reference", "current"))
    return len(verdict.compare(reference, current).of("alert"))


if __name__ == "__main__":
    measured.main(check)
