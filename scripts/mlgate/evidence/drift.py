"""What the comparison of data with what it was finds, and where its profile lies."""

from __future__ import annotations

from typing import Literal

from mlgate.evidence.record import FileRef, Record, Text

DriftVerdict = Literal["alert", "warn", "stable", "too little data"]


class DriftBin(Record):
    """One bin of both sides."""

    label: Text | None
    """What it holds: `up to 3.2`, `red`, `other`, `null`; None for a category that is too rare to be named."""
    reference: int
    current: int


class ColumnDrift(Record):
    """One column of both tables. Statistics are None where nothing could be counted on both sides."""

    name: Text
    kind: Text
    """`number`, `time`, `category`, `other` or `empty`."""
    verdict: DriftVerdict
    is_label: bool = False
    words: Text
    """`PSI 0.31 (chance would give at most 0.02), mean 38.2 -> 44.7`."""
    remarks: list[Text] = []
    """The same without PSI: nulls, values that are new or gone, the mean."""
    psi: float | None = None
    by_chance: float | None = None
    """What PSI exceeds by chance, corrected for the number of columns."""
    kl: float | None = None
    js: float | None = None
    """In nats, 0 to ln 2."""
    ks: float | None = None
    wasserstein: float | None = None
    """In the unit of the column."""
    wasserstein_sd: float | None = None
    """In standard deviations of the reference."""
    chi_squared: float | None = None
    degrees: int | None = None
    total_variation: float | None = None
    reference_mean: float | None = None
    current_mean: float | None = None
    reference_sd: float | None = None
    current_sd: float | None = None
    reference_null_share: float = 0.0
    current_null_share: float = 0.0
    bins: list[DriftBin] = []
    """At most ten, and one for nulls: those of fewer rows together."""


class MultivariateDrift(Record):
    """A classifier told to tell the rows of both apart."""

    verdict: DriftVerdict
    auc: float
    """Of rows it was not trained on; 0.5 where it cannot tell them apart."""
    low: float
    """A lower confidence bound of it."""
    rows: int
    """Of each side, that were looked at."""
    columns: list[Text]
    """Which give it away, the most telling first."""
    words: Text


class DriftFindings(Record):
    """One entry of `data.drift`."""

    data: Text
    against: Text
    """In words: `the base 4f1c08aa90b1`, `the champion`, `data/reference.parquet`."""
    level: Literal["off", "warn", "fail"]
    verdict: Literal["alert", "warn", "stable", "too little data", "unchanged", "not compared"]
    source: Text | None
    """Where what it is compared with came from: `profile in the store`, `dvc outputs`, `git`, `file`; None where nothing was read."""
    note: Text = ""
    """Why nothing was compared, or what else is to be known."""
    rows: int | None = None
    reference_rows: int | None = None
    rows_words: Text | None = None
    """What is to be told of the number of rows."""
    columns: list[ColumnDrift] = []
    """The label first."""
    multivariate: MultivariateDrift | None = None
    duration_s: float = 0.0

    @property
    def drifted(self) -> list[ColumnDrift]:
        """Alerts first, each kind as in the table."""
        return sorted((one for one in self.columns if one.verdict in ("alert", "warn")), key=lambda one: one.verdict != "alert")


class DataProfile(Record):
    """The summary of data as it was validated."""

    data: Text
    file: FileRef
