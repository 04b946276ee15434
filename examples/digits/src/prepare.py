"""Split the digits into train and holdout. An example's side depends on its id alone, so both sides stay stable as data grows."""

import hashlib
from pathlib import Path


def is_held_out(identifier: int, share: float) -> bool:
    return int(hashlib.sha256(str(identifier).encode()).hexdigest()[:8], 16) < share * 2**32


def main() -> None:
    import pandas as pd
    import yaml

    share = yaml.safe_load(Path("params.yaml").read_text())["prepare"]["holdout_share"]
    digits = pd.read_csv("data/digits.csv")
    held_out = digits["id"].map(lambda identifier: is_held_out(identifier, share))
    digits[~held_out].to_parquet("data/train.parquet", index=False)
    digits[held_out].to_parquet("data/holdout.parquet", index=False)


if __name__ == "__main__":
    main()
