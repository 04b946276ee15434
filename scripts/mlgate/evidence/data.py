"""What the stages before training find: check, pull-data, validate-data."""

from __future__ import annotations

from typing import Literal

from mlgate.evidence.drift import DataProfile, DriftFindings
from mlgate.evidence.record import DataRef, FileRef, Record, Text
from mlgate.evidence.screens import ScreenedData


class CommandRun(Record):
    """One command of the user's, run in the user's environment."""

    command: Text
    exit_code: int
    """As the shell gives it: 128 + n for signal n."""
    is_timed_out: bool = False
    duration_s: float
    log: FileRef | None = None
    tail: Text = ""
    """The last lines of output."""


class CheckFindings(Record):
    commands: list[CommandRun]
    """In order, up to and including the first failure."""


class PulledTarget(Record):
    """A DVC target and where its files came from."""

    data: DataRef
    files_from_cache: int
    files_from_remote: int
    source: Text | None = None
    """Where it was imported from, without credentials; None for data on the remote."""


class PullFindings(Record):
    remote: Text | None
    """Name of the DVC remote; None when nothing is tracked by DVC."""
    remote_url: Text | None
    """Without credentials."""
    targets: list[PulledTarget]
    attempts: int = 1
    """How often the remote was asked."""


class BrokenRule(Record):
    """One rule of a contract that data breaks."""

    column: Text | None
    """None for a rule about the whole table."""
    rule: Text
    """The rule in words: `in_range(0, 120)`, `not nullable`, `column missing`."""
    rows: int
    """How many rows break it; 0 for a rule about the schema."""
    share: float
    """Of all rows, in [0, 1]."""
    row_numbers: list[int]
    """The first of them, counted from 0 below the header."""
    values: list[Text] | None = None
    """What stands there, only where `report.examples` allows it."""
    names: list[Text] = []
    """Of a folder of files, the first files that break it, with what is wrong in brackets; `rows` counts files then."""


class FolderFindings(Record):
    """A folder of files, as its contract saw it."""

    size_bytes: int
    types: dict[Text, int]
    """Files by type; `other` for names that say none of the contract's."""
    classes: dict[Text, int] | None
    """Files by class; None where the contract knows no classes."""


class ContractFindings(Record):
    data: Text
    schema_path: Text
    is_passed: bool
    rows: int
    columns: int
    broken: list[BrokenRule]
    duration_s: float
    engine: Literal["polars", "pandera", "polars and pandera", "spark"] | None = None
    """What ran the rules; None in evidence of earlier versions, and of a folder of files."""
    notes: list[Text] = []
    """What a reader should know of how they were run: what ran in pandera, why and what it cost; digits that were lost in reading."""
    warnings: list[Text] = []
    """What breaks rules that only warn, a sentence each."""
    folder: FolderFindings | None = None
    """Of a contract of files; `rows` is the number of files then, `columns` 0."""


class ValidationFindings(Record):
    prepare: CommandRun | None = None
    contracts: list[ContractFindings]
    validated: list[DataRef]
    """Data as it was when it was checked; `train` refuses any other."""
    baseline_contracts: list[ContractFindings] = []
    """Contracts of the baseline commit that this commit changes or removes: one that is broken closes the gate, not this stage."""
    baseline_note: Text = ""
    """Which of them could not be checked, and why."""
    screened: list[ScreenedData] = []
    """What the entries of `data.screens` were looked through for, in their order."""

    @property
    def has_broken_contract(self) -> bool:
        return any(not one.is_passed for one in self.contracts)

    @property
    def has_failed_screen(self) -> bool:
        return any(one.failed for one in self.screened)

    drift: list[DriftFindings] = []
    """What the entries of `data.drift` were compared with, in their order."""
    profiles: list[DataProfile] = []
    """Summaries of data that `data.drift` names, kept so that later runs and the champion can be compared with it."""
