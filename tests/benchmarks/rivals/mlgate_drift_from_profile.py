"""Drift by mlgate, beside the profile that the reference left when it was the current table; found: how many columns alert."""

import measured

from mlgate.drift import profile, verdict
from mlgate.tables.scan import scan


def check(folder, rules):
    columns = [rule["name"] for rule in rules if rule["kind"] != "id"]
    stored = folder / "reference.profile.json"
    if not stored.exists():
        stored.write_bytes(profile.dump(profile.of_table(scan(folder, "reference.parquet"), columns)))
    reference = profile.load(stored.read_bytes(), stored.name)
    return len(verdict.compare(reference, profile.of_table(scan(folder, "current.parquet"), columns)).of("alert"))


if __name__ == "__main__":
    measured.main(check)
