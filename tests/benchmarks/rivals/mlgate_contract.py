"""The contract by mlgate; found: how many rules are broken."""

import measured

from mlgate.contracts import contract


def check(folder, rules):
    return len(contract.check(folder, "current.parquet", "contract.yaml").findings.broken)


if __name__ == "__main__":
    measured.main(check)
