"""The contract by pandera on Polars, on a frame: of a lazy one it would look at the schema only."""

import measured
import pandera.polars as pa
import polars as pl


def column(rule):
    checks = []
    if "range" in rule:
        checks.append(pa.Check.in_range(*rule["range"]))
    if "in" in rule:
        checks.append(pa.Check.isin(rule["in"]))
    if "pattern" in rule:
        checks.append(pa.Check.str_matches(f"^(?:{rule['pattern']})"))
    return pa.Column(None, checks=checks, nullable=False, unique=rule.get("unique", False))


def check(folder, rules):
    schema = pa.DataFrameSchema({rule["name"]: column(rule) for rule in rules})
    try:
        schema.validate(pl.read_parquet(folder / "current.parquet"), lazy=True)
    except pa.errors.SchemaErrors as errors:
        return len({(error.schema.name, str(error.check)) for error in errors.schema_errors})
    return 0


if __name__ == "__main__":
    measured.main(check)
