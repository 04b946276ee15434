"""Split the digits into train and holdout. An example's side depends on its id alone, so both sides stay stable as data grows."""

import hashlib
from pathlib import Path


def is_held_out(identifier: int, share: float) -> bool:
    return int(hashlib.sha256(str(identifier).encode()).hexdigest()[:8], 16) < share * 2**32


def main() -> None:
    import pyarrow as pa
    import yaml
    from pyarrow import csv, parquet

    share = yaml.safe_load(Path("params.yaml").read_text())["prepare"]["holdout_share"]
    digits = csv.read_csv("data/digits.csv")
    held_out = [is_held_out(identifier, share) for identifier in digits["id"].to_pylist()]
    parquet.write_table(digits.filter(pa.array([not one for one in held_out])), "data/train.parquet")
    parquet.write_table(digits.filter(pa.array(held_out)), "data/holdout.parquet")


if __name__ == "__main__":
    main()
