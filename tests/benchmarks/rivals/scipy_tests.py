"""Drift by scipy: Kolmogorov-Smirnov and Wasserstein of numbers, chi-squared of categories.

Found: how many columns differ at 1 % over all of them.
"""

import measured
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance


def p_value(reference, current, kind):
    if kind == "category":
        counts = pd.concat([reference.value_counts(), current.value_counts()], axis=1).fillna(0)
        return chi2_contingency(counts.to_numpy()).pvalue
    wasserstein_distance(reference, current)
    return ks_2samp(reference, current, method="asymp").pvalue


def check(folder, rules):
    columns = {rule["name"]: rule["kind"] for rule in rules if rule["kind"] != "id"}
    reference, current = (pd.read_parquet(folder / f"{name}.parquet", columns=list(columns)) for name in ("reference", "current"))
    return sum(bool(p_value(reference[name], current[name], kind) < 0.01 / len(columns)) for name, kind in columns.items())


if __name__ == "__main__":
    measured.main(check)
