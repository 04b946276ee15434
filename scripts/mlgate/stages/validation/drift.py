"""The entries of `data.drift`: data held against what it was, at the baseline commit, at the champion, or in another file. Part of
validate-data, behind contracts and screens. What it read is kept as a profile, so that later runs need not read this data again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import DriftConfig, is_remote
from mlgate.config.drift import BASE, CHAMPION
from mlgate.console import plain
from mlgate.contracts import engine
from mlgate.contracts.engine import POLARS, Engines
from mlgate.drift import multivariate, profile, spark_profile, spark_sample, verdict
from mlgate.drift.multivariate import Apart
from mlgate.drift.profile import Profile
from mlgate.drift.verdict import Compared, Settings, Thresholds
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation.dvc_history import NotThereError
from mlgate.evidence import Annotation, ColumnDrift, DataRef, DriftBin, DriftFindings, MultivariateDrift, finite
from mlgate.mistakes import did_you_mean
from mlgate.stages.baseline.data_of_baseline import EarlierData, open_earlier
from mlgate.stages.decision import recording
from mlgate.stages.revisions import lineage
from mlgate.stages.validation import profiles
from mlgate.stages.validation.drifted import Drifted
from mlgate.store import Store, open_store
from mlgate.tables import spark
from mlgate.tables.scan import scan
from mlgate.tables.spark import Spark, SparkTable
from mlgate.tables.table import Table
from mlgate.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from mlgate.drift.verdict import Drift

_ANNOTATED_COLUMNS = 10
_SHOWN_BINS = 10
_COLUMNS_WITH_BINS = 100


@dataclass
class _Reference:
    """What data is compared with, as far as it was found."""

    name: str
    """In words."""
    profile: Profile | None = None
    table: Table | SparkTable | None = None
    """Its rows, where they are there."""
    source: str | None = None
    note: str = ""
    is_unchanged: bool = False
    stored: bytes | None = None
    """The profile's file, where it came from the store."""

    def add(self, note: str) -> None:
        self.note = "; ".join([*([self.note] if self.note else []), note])


def check(workspace: Workspace, validated: Sequence[DataRef], engines: Engines = POLARS) -> Drifted:
    """Compare every entry.

    Args:
        workspace: whose configuration has the entries.
        validated: identities of the data, as it is now.
        engines: what reads data: Polars or Spark.

    Raises:
        InputError: an entry names data, columns or a reference that do not exist or cannot be read (exit 2).
        InfrastructureError: the disk refuses, or Spark.
    """
    entries = [(at, entry) for at, entry in enumerate(workspace.config.data.drift) if entry.level != "off"]
    done = Drifted([])
    if not entries:
        return done
    with ExitStack() as stack:
        earlier = _Earlier(workspace, {one.path: one for one in validated}, stack)
        now = _Now(workspace, [entry for _, entry in entries], engines)
        for at, entry in entries:
            where = f"{workspace.config_path}: data.drift[{at}]"
            with workspace.console.progress(f"validate-data: drift of {entry.data}"):
                found, kept = _compared(workspace, entry, where, earlier, now)
            done.findings.append(found)
            if kept is not None and all(one.data != entry.data for one in done.profiles):
                done.profiles.append(profiles.keep(workspace, entry.data, kept))
            _tell(workspace, entry, found, done)
    return done


class _Now:
    """Profiles of the data as it is, each made once, of the columns that any entry looks at."""

    def __init__(self, workspace: Workspace, entries: Sequence[DriftConfig], engines: Engines) -> None:
        self._root = workspace.root
        self._entries = entries
        self._engines = engines
        self._profiles: dict[str, Profile] = {}
        self._tables: dict[str, Table | SparkTable] = {}

    def table(self, data: str) -> Table | SparkTable:
        if data not in self._tables:
            self._tables[data] = self.open(data)
        return self._tables[data]

    def open(self, name: str) -> Table | SparkTable:
        """A table of the working directory, by the engine that is for it."""
        return _opened(self._engines.spark_for(self._root, name), self._root, name)

    def open_earlier(self, folder: Path, name: str) -> Table | SparkTable:
        """A table of an earlier commit, which lies on this machine alone: the workers of a cluster do not see it."""
        opened = self._engines.spark_for(folder, name)
        if opened is None or opened.master.startswith("local"):
            return _opened(opened, folder, name)
        if engine.bytes_of(folder / name) >= engine.MANY_BYTES:
            raise InputError(f"{name}: too large for this machine, where workers of Spark at {opened.master} do not see it")
        return scan(folder, name)

    def profile(self, data: str) -> Profile:
        if data not in self._profiles:
            self._profiles[data] = self.same_columns(data, self.table(data))
        return self._profiles[data]

    def columns(self, data: str) -> list[str]:
        """Names of those columns that are looked at."""
        return self._looked_at(data, _names(self.table(data)))

    def _looked_at(self, data: str, names: Sequence[str]) -> list[str]:
        about = [entry for entry in self._entries if entry.data == data]
        left_out = set.intersection(*(set(entry.except_) for entry in about)) if about else set()
        named = {name for entry in about for name in (*(entry.columns or ()), entry.label)}
        has_all = any(entry.columns is None for entry in about)
        return [name for name in names if (has_all and name not in left_out) or (not has_all and name in named)]

    def same_columns(self, data: str, table: Table | SparkTable) -> Profile:
        """The profile of a table with those columns of it that are looked at of `data`."""
        return _profile(table, self._looked_at(data, _names(table)), ())


def _opened(by: Spark | None, root: Path, name: str) -> Table | SparkTable:
    return scan(root, name) if by is None else spark.scan(by, root, name)


def _profile(table: Table | SparkTable, columns: Sequence[str] | None, leave_out: Iterable[str]) -> Profile:
    if isinstance(table, SparkTable):
        return spark_profile.of_table(table, columns, leave_out)
    return profile.of_table(table, columns, leave_out)


def _names(table: Table | SparkTable) -> list[str]:
    return list(table.schema if isinstance(table, SparkTable) else table.frame.collect_schema())


def _rows(table: Table | SparkTable, count: int, columns: Sequence[str]) -> tuple[pl.LazyFrame, int]:
    """What the multivariate screen looks at, and of how many rows it is to choose; Spark has chosen already."""
    if isinstance(table, SparkTable):
        return spark_sample.of_table(table, count, columns).lazy(), min(count, multivariate.MOST_ROWS)
    return table.frame, count


class _Earlier:
    """What there is of earlier commits: the store's profiles, the baseline's data."""

    def __init__(self, workspace: Workspace, validated: Mapping[str, DataRef], stack: ExitStack) -> None:
        self._workspace, self._validated, self._stack = workspace, validated, stack
        self._data: EarlierData | None = None
        self.commit: str | None = None
        self.why_none = ""
        try:
            base = lineage.baseline_commit(workspace)
            self.commit, self.why_none = base.commit, base.how
            rules, _ = lineage.rules_of(workspace, base.commit)
        except InputError as error:
            self.commit, self.why_none, rules = None, str(error), workspace.config
        self._rules = rules
        self._store_note = ""
        self._store: Store | None = None

    def stored(self, key: str) -> tuple[bytes | None, str]:
        """A profile of the store, and why it cannot be had where that is a fault."""
        if self._store_note:
            return None, self._store_note
        try:
            if self._store is None:
                self._store = open_store(
                    self._rules.store, root=self._workspace.root, model=self._rules.model, context=self._workspace.context
                )
            return self._store.read(key), ""
        except (InfrastructureError, InputError) as error:
            self._store_note = f"the store cannot be asked: {plain(str(error))}"
            return None, self._store_note

    def data(self) -> EarlierData:
        """The baseline commit's data. Only where there is such a commit."""
        if self.commit is None:
            raise ValueError("there is no baseline commit")
        if self._data is None:
            remote = self._workspace.config.data.remote
            self._data = self._stack.enter_context(open_earlier(self._workspace.root, self.commit, remote))
        return self._data

    def now(self, data: str) -> DataRef | None:
        return self._validated.get(data)


# --- one entry -------------------------------------------------------------------------------------------------------


def _compared(workspace: Workspace, entry: DriftConfig, where: str, earlier: _Earlier, now: _Now) -> tuple[DriftFindings, bytes | None]:
    """An entry's findings, and the profile of its data where one is to be kept."""
    started = time.perf_counter()
    reference = _reference(workspace, entry, where, earlier, now)
    if reference.is_unchanged:
        found = _without_columns(entry, reference, "unchanged", started)
        if recording.is_due(workspace) and not _has_all(_with_stored(reference, reference.stored).profile, entry, now):
            made = now.profile(entry.data)
            _check_columns(entry, _names(now.table(entry.data)), where)
            return found, profile.dump(made)
        return found, reference.stored
    current = now.profile(entry.data)
    kept = profile.dump(current)
    _check_columns(entry, [*_names(now.table(entry.data)), *(reference.profile.columns if reference.profile else [])], where)
    if reference.profile is None:
        return _without_columns(entry, reference, "not compared", started), kept
    before, after = (_chosen(one, entry) for one in (reference.profile, current))
    asked = reference.table is not None and entry.multivariate is not False
    if asked and (why := _why_no_rows(reference.table) or _why_no_rows(now.table(entry.data))):
        asked = False
        reference.add(f"the classifier was not run: {why}")
    if isinstance(now.table(entry.data), SparkTable):
        reference.add("read by Spark")
    compared = verdict.compare(before, after, _settings(entry, further=1 if asked else 0))
    apart = None
    if asked and reference.table is not None and not compared.is_too_little:
        apart = _apart(entry, reference.table, now.table(entry.data), compared)
    return _findings(entry, reference, compared, apart, started), kept


def _why_no_rows(table: Table | SparkTable | None) -> str:
    return f"engine spark; {why}" if isinstance(table, SparkTable) and (why := spark_sample.why_not(table)) else ""


def _reference(workspace: Workspace, entry: DriftConfig, where: str, earlier: _Earlier, now: _Now) -> _Reference:
    if entry.against == BASE:
        return _of_base(entry, earlier, now)
    if entry.against == CHAMPION:
        content, note = earlier.stored(profiles.of_champion(entry.data))
        reference = _Reference("the champion", note=note)
        if content is None:
            reference.note = note or "no profile of this data is kept with the champion yet; it comes when a model is registered"
        return _with_stored(reference, content)
    if not is_remote(entry.against) and not (workspace.root / entry.against).exists():
        raise InputError(f"{where}.against: '{entry.against}': no such file; expected base, champion, or the path of a table or profile")
    if entry.is_against_profile:
        content = _file(workspace.root / entry.against, f"{where}.against: '{entry.against}'")
        return _Reference(entry.against, profile.load(content, entry.against), source="profile", note=_no_rows(entry))
    table = now.open(entry.against)
    return _Reference(entry.against, now.same_columns(entry.data, table), table, "file")


def _file(path: Path, where: str) -> bytes:
    """A profile's file, and no more of it than a profile may have."""
    try:
        with path.open("rb") as file:
            return file.read(profile.MAX_PROFILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}; expected a profile's file") from None


def _of_base(entry: DriftConfig, earlier: _Earlier, now: _Now) -> _Reference:
    if earlier.commit is None:
        return _Reference("the base", note=f"there is no base to compare with: {earlier.why_none}")
    reference = _Reference(f"the base {earlier.commit[:12]}")
    is_now = earlier.now(entry.data)
    content, store_note = earlier.stored(profiles.of_commit(earlier.commit, entry.data))
    if is_now is not None and earlier.data().is_unchanged(is_now):
        reference.is_unchanged, reference.stored = True, content
        return reference
    if content is not None and entry.multivariate is not True:
        reference = _with_stored(reference, content)
        # One of fewer columns was made when fewer were looked at: the others would all be new ones.
        if _has_all(reference.profile, entry, now):
            return reference
        reference = _Reference(reference.name)
    if is_remote(entry.data):
        reference.note = "no profile of it is kept yet, and an object store has no data of that commit; one comes with the next run there"
        return reference
    try:
        source = earlier.data().fetch(entry.data)
        table = now.open_earlier(earlier.data().folder, entry.data)
        return _Reference(reference.name, now.same_columns(entry.data, table), table, source)
    except (NotThereError, InputError) as error:
        notes = [f"its rows are not to be had: {plain(str(error))}", *([store_note] if store_note else [])]
    if content is not None:
        reference = _with_stored(reference, content)
    reference.note = "; ".join(notes)
    return reference


def _has_all(found: Profile | None, entry: DriftConfig, now: _Now) -> bool:
    """Whether a profile of the store is one, and of all columns that are looked at by now."""
    return found is not None and all(name in found.columns for name in now.columns(entry.data))


def _with_stored(reference: _Reference, content: bytes | None) -> _Reference:
    if content is not None:
        try:
            reference.profile = profile.load(content, "the profile in the store")
            reference.source, reference.stored = "profile in the store", content
        except InputError as error:
            reference.note = str(error)
    return reference


def _no_rows(entry: DriftConfig) -> str:
    return "a profile has no rows, so no classifier was told to tell them apart" if entry.multivariate else ""


def _chosen(found: Profile, entry: DriftConfig) -> Profile:
    """The columns an entry looks at."""
    chosen = {
        name: column
        for name, column in found.columns.items()
        if name not in entry.except_ and (entry.columns is None or name in entry.columns or name == entry.label)
    }
    return Profile(found.rows, chosen)


def _check_columns(entry: DriftConfig, known: Sequence[str], where: str) -> None:
    """Names in the settings, also where nothing is compared yet: the next change of the data would be too late to learn of a slip."""
    for key, names in (("columns", entry.columns or []), ("label", [entry.label] if entry.label else []), ("thresholds", entry.thresholds)):
        _check_named(names, known, f"{where}.{key}")


def _check_named(names: Sequence[str] | Mapping[str, object], known: Sequence[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"{where}: no column '{name}' in the data{did_you_mean(name, list(dict.fromkeys(known)))}")


def _settings(entry: DriftConfig, further: int) -> Settings:
    return Settings(
        thresholds=Thresholds(entry.warn, entry.alert),
        of_column={name: Thresholds(*entry.of_column(name)) for name in entry.thresholds},
        label=entry.label,
        fewest_rows=entry.min_rows,
        most_rows_change=entry.rows,
        further_questions=further,
    )


def _apart(entry: DriftConfig, reference: Table | SparkTable, current: Table | SparkTable, compared: Compared) -> Apart | None:
    both = [one.name for one in compared.columns if one.bins is not None]
    level = verdict.FALSE_ALARM / (len(compared.columns) + 1) / verdict.QUESTIONS
    thresholds = Thresholds(entry.warn, entry.alert)
    if not both:
        return None
    first = both[: multivariate.MOST_COLUMNS]
    (before, some), (after, others) = (_rows(reference, compared.rows[0], first), _rows(current, compared.rows[1], first))
    there = [name for name in first if name in before.collect_schema() and name in after.collect_schema()]
    return multivariate.screen(before, after, (some, others), there, thresholds, level) if there else None


# --- as evidence -----------------------------------------------------------------------------------------------------


def _without_columns(entry: DriftConfig, reference: _Reference, what: str, started: float) -> DriftFindings:
    return DriftFindings(
        data=entry.data,
        against=reference.name,
        level=entry.level,
        verdict="unchanged" if what == "unchanged" else "not compared",
        source=reference.source,
        note=reference.note,
        duration_s=time.perf_counter() - started,
    )


def _findings(entry: DriftConfig, reference: _Reference, compared: Compared, apart: Apart | None, started: float) -> DriftFindings:
    told = [one for one in compared.columns if one.verdict in ("alert", "warn")]
    drawn = {one.name for one in sorted(told, key=lambda one: one.verdict != "alert")[:_COLUMNS_WITH_BINS]}
    verdicts = {one.verdict for one in told} | ({apart.verdict} if apart is not None else set())
    overall = "alert" if "alert" in verdicts else "warn" if "warn" in verdicts or compared.rows_reason else "stable"
    return DriftFindings(
        data=entry.data,
        against=reference.name,
        level=entry.level,
        verdict="too little data" if compared.is_too_little and overall == "stable" else overall,
        source=reference.source,
        note=reference.note,
        rows=compared.rows[1],
        reference_rows=compared.rows[0],
        rows_words=compared.rows_reason,
        columns=[_column(one, has_bins=one.name in drawn) for one in compared.columns],
        multivariate=_multivariate(apart) if apart is not None else None,
        duration_s=time.perf_counter() - started,
    )


def _column(one: Drift, *, has_bins: bool) -> ColumnDrift:
    def number(value: float | None) -> float | None:
        return None if value is None else finite(value)

    return ColumnDrift(
        name=one.name[:1000],
        kind=one.kind,
        verdict=one.verdict,
        is_label=one.is_label,
        words=", ".join(one.reasons) or one.verdict,
        remarks=list(one.remarks),
        psi=number(one.psi),
        by_chance=number(one.by_chance),
        kl=number(one.kl),
        js=number(one.js),
        ks=number(one.ks),
        wasserstein=number(one.wasserstein),
        wasserstein_sd=number(one.wasserstein_sd),
        chi_squared=number(one.chi_squared),
        degrees=one.degrees,
        total_variation=number(one.total_variation),
        reference_mean=number(one.means[0]),
        current_mean=number(one.means[1]),
        reference_sd=number(one.sds[0]),
        current_sd=number(one.sds[1]),
        reference_null_share=one.null_shares[0],
        current_null_share=one.null_shares[1],
        bins=_shown_bins(one) if has_bins else [],
    )


def _shown_bins(column: Drift) -> list[DriftBin]:
    """At most ten bins and one for nulls; of more, the most filled ones, the others together."""
    if column.bins is None:
        return []
    bins = column.bins
    sides = zip(bins.labels, bins.reference.tolist(), bins.current.tolist(), strict=True)
    rows = [DriftBin(label=label, reference=before, current=after) for label, before, after in sides]
    nulls = [rows.pop()] if bins.has_nulls else []
    if len(rows) > _SHOWN_BINS:
        other = [rows.pop()] if bins.has_other else []
        by_size = sorted(range(len(rows)), key=lambda at: -(rows[at].reference + rows[at].current))
        kept = sorted(by_size[: _SHOWN_BINS - 1])
        rest = [*(rows[at] for at in sorted(by_size[_SHOWN_BINS - 1 :])), *other]
        together = DriftBin(label="other", reference=sum(one.reference for one in rest), current=sum(one.current for one in rest))
        rows = [*(rows[at] for at in kept), together]
    return [*rows, *nulls]


def _multivariate(apart: Apart) -> MultivariateDrift:
    words = f"a classifier tells {apart.auc:.0%} of pairs of rows apart (AUC {apart.auc:.3f}, at least {apart.low:.3f})"
    if apart.columns:
        words += f", by {', '.join(apart.columns)}"
    return MultivariateDrift(
        verdict=apart.verdict, auc=apart.auc, low=apart.low, rows=min(apart.rows), columns=list(apart.columns), words=words
    )


# --- as told ---------------------------------------------------------------------------------------------------------


def _tell(workspace: Workspace, entry: DriftConfig, found: DriftFindings, done: Drifted) -> None:
    """Sentences for the summary, and a remark where the data is declared."""
    about = f"{found.data} against {found.against}"
    if found.verdict in ("unchanged", "not compared", "too little data"):
        if found.verdict != "unchanged":
            fewest = f"fewer than {entry.min_rows:,} rows on a side"
            done.notes.append(f"drift of {about}: {found.verdict}: {found.note or fewest}")
        return
    if found.verdict == "stable":
        return
    sentence = f"drift of {about}: {words(found)}"
    is_failed = found.verdict == "alert" and found.level == "fail"
    (done.failed if is_failed else done.warned).append(sentence)
    path, line = _declared(workspace.root, workspace.config_path, found.data)
    done.annotations.append(Annotation(path=path, line=line, level="error" if is_failed else "warning", message=sentence))


def words(found: DriftFindings) -> str:
    """What drifted, the worst first."""
    told = [f"{'label ' if one.is_label else ''}{one.name[:100]}: {one.words}" for one in found.drifted]
    more = len(told) - _ANNOTATED_COLUMNS
    told = [*told[:_ANNOTATED_COLUMNS], *([f"{more:,} more columns"] if more > 0 else [])]
    if found.multivariate is not None and found.multivariate.verdict != "stable":
        told.append(found.multivariate.words)
    return "; ".join([*told, *([found.rows_words] if found.rows_words else [])])


def _declared(root: Path, config_path: str, data: str) -> tuple[str, int]:
    """Where data is declared: its .dvc file, else its entry in mlgate.yaml."""
    if (root / f"{data}.dvc").is_file():
        return f"{data}.dvc", 1
    try:
        lines = (root / config_path).read_text(errors="replace").splitlines()
    except OSError:
        return config_path, 1
    begin = next((number for number, line in enumerate(lines) if re.match(r"^\s+drift:", line)), 0)
    pattern = re.compile(rf"[\s{{,]data:\s*['\"]?{re.escape(data)}['\"]?\s*(?:[,}}#]|$)")
    return config_path, next((number for number, line in enumerate(lines[begin:], start=begin + 1) if pattern.search(line)), begin + 1)
