"""The contract by pandera on pandas."""

import measured
import pandas as pd
import pandera.pandas as pa
import pandera_contract


def check(folder, rules):
    return pandera_contract.failed(pa, pd.read_parquet(folder / "current.parquet"), rules)


if __name__ == "__main__":
    measured.main(check)
