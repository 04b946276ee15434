"""The contract by pandera on Polars, on a frame: of a lazy one it would look at the schema only."""

import measured
import pandera.polars as pa
import pandera_contract
import polars as pl


def check(folder, rules):
    return pandera_contract.failed(pa, pl.read_parquet(folder / "current.parquet"), rules, pattern="^(?:{})")


if __name__ == "__main__":
    measured.main(check)
