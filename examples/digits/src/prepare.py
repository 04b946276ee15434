"""Split the digits into train and holdout. An example's side depends on its id alone, so both sides stay stable as data grows."""

import hashlib
from pathlib import Path

import pandas as pd
import yaml

share = yaml.safe_load(Path("params.yaml").read_text())["prepare"]["holdout_share"]
digits = pd.read_csv("data/digits.csv")


def is_held_out(identifier: int) -> bool:
    return int(hashlib.sha256(str(identifier).encode()).hexdigest()[:8], 16) < share * 2**32


held_out = digits["id"].map(is_held_out)
digits[~held_out].to_parquet("data/train.parquet", index=False)
digits[held_out].to_parquet("data/holdout.parquet", index=False)
