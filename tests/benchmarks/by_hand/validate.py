"""What a team writes by hand: the contract as a pandera schema in code."""

import pandas as pd
import pandera.pandas as pa

schema = pa.DataFrameSchema(
    {
        "id": pa.Column(int, pa.Check.ge(0), unique=True),
        "pixel_[0-7]_[0-7]": pa.Column(int, pa.Check.in_range(0, 16), regex=True),
        "digit": pa.Column(int, pa.Check.in_range(0, 9)),
    },
    strict=True,
)
schema.validate(pd.read_parquet("data/train.parquet"), lazy=True)
