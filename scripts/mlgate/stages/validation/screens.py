"""The entries of `data.screens` against the data at hand: part of validate-data, behind the contracts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlgate.config import ScreensConfig, is_remote
from mlgate.console import plain
from mlgate.contracts.engine import POLARS, Engines
from mlgate.data import checkout
from mlgate.data.recorded import Mismatch, mismatch
from mlgate.errors import InputError
from mlgate.evaluation.dvc_history import NotThereError
from mlgate.evidence import Annotation, DataRef, FileRef, ScreenedData, ScreenFindings, ScreenItem
from mlgate.stages.baseline.data_of_baseline import EarlierData, open_earlier
from mlgate.stages.revisions import lineage
from mlgate.tables.scan import scan
from mlgate.tables.table import Table
from mlgate.workspace import Workspace

if TYPE_CHECKING:
    from mlgate.screens.subject import Answer

_ANNOTATED_ITEMS = 10
_ON_SPARK = "engine spark; screens look at rows in this machine's memory"


@dataclass(frozen=True)
class Screens:
    """What the screens found."""

    findings: list[ScreenedData]
    failed: list[str] = field(default_factory=list)
    """One sentence each, for the summary."""
    warned: list[str] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    files: list[FileRef] = field(default_factory=list)


def check(workspace: Workspace, validated: Sequence[DataRef], engines: Engines = POLARS) -> Screens:
    """Look every entry through.

    Args:
        workspace: whose configuration has the entries.
        validated: identities of the data, as it is now.
        engines: what reads data; rows that Spark reads are not looked at.

    Raises:
        InputError: an entry names data or columns that do not exist, or that cannot be read (exit 2).
    """
    done = Screens([])
    entries = workspace.config.data.screens
    checkout.refuse_pointers(workspace.root, [name for each in entries for name in each.names])
    identities = {one.path: one for one in validated}
    with ExitStack() as stack:
        earlier = _Earlier(workspace, identities, stack)
        for at, settings in enumerate(entries):
            where = f"{workspace.config_path}: data.screens[{at}]"
            with workspace.console.progress(f"validate-data: screens of {settings.train}"):
                found = _screened(workspace, settings, where, earlier, identities, engines)
            done.findings.append(found)
            done.warned.extend([f"{found.train}: not screened: {found.why_not_read}"] if found.why_not_read else [])
            done.failed.extend(_sentences(found, found.failed))
            done.warned.extend(_sentences(found, found.warned))
            done.annotations.extend(_annotations(workspace, settings, found))
    return done


class _Earlier:
    """Train as it was at the baseline commit, for the entries that can make use of it."""

    def __init__(self, workspace: Workspace, identities: Mapping[str, DataRef], stack: ExitStack) -> None:
        self._workspace, self._identities, self._stack = workspace, identities, stack
        self._data: EarlierData | None = None
        self._commit: str | None = None
        self._is_asked = False

    @property
    def name(self) -> str:
        return f"the baseline {(self._commit or '')[:12]}".rstrip()

    def table(self, settings: ScreensConfig) -> tuple[Table | None, str]:
        """The earlier table, and why there is none where one was to be expected."""
        is_of_use = settings.source or settings.protected or (settings.label and settings.holdout is None)
        if not is_of_use or is_remote(settings.train):
            return None, ""
        data = self._opened()
        now = self._identities.get(settings.train)
        if data is None or (now is not None and data.is_unchanged(now)):
            return None, ""  # what did not change did not jump
        try:
            data.fetch(settings.train)
            return scan(data.folder, settings.train), ""
        except (NotThereError, InputError) as error:
            return None, f"{settings.train} of {self.name} is not to be had: {plain(str(error))}"

    def _opened(self) -> EarlierData | None:
        if not self._is_asked:
            self._is_asked = True
            workspace = self._workspace
            try:
                self._commit = lineage.baseline_commit(workspace).commit
            except InputError:  # told by the contracts of the baseline, or by the gate
                self._commit = None
            if self._commit is not None:
                self._data = self._stack.enter_context(open_earlier(workspace.root, self._commit, workspace.config.data.remote))
        return self._data


def _screened(
    workspace: Workspace,
    settings: ScreensConfig,
    where: str,
    earlier: _Earlier,
    identities: Mapping[str, DataRef],
    engines: Engines,
) -> ScreenedData:
    from mlgate.screens import screening
    from mlgate.screens.screening import Tables
    from mlgate.screens.subject import not_run

    started = time.perf_counter()
    root = workspace.root
    hashes = not_run("off") if settings.hashes.level == "off" else _hashes(workspace, settings, identities)
    if any(engines.is_for_spark(root, name) for name in (settings.train, settings.holdout) if name is not None):
        unread = screening.not_screened(settings, _ON_SPARK, hashes)
        return ScreenedData(
            train=settings.train,
            holdout=settings.holdout,
            rows=0,
            holdout_rows=None,
            screens=unread.screens,
            duration_s=time.perf_counter() - started,
        )
    probabilities, notes = None, []
    if settings.probabilities is not None and (is_remote(settings.probabilities) or (root / settings.probabilities).exists()):
        probabilities = scan(root, settings.probabilities).frame
    elif settings.probabilities is not None:
        notes.append(f"{settings.probabilities} is not there, so no label was held against it")
    before, why_not = earlier.table(settings)
    notes += [why_not] if why_not else []
    tables = Tables(
        train=scan(root, settings.train).frame,
        holdout=scan(root, settings.holdout).frame if settings.holdout is not None else None,
        probabilities=probabilities,
        earlier=before.frame if before is not None else None,
        earlier_name=earlier.name,
    )
    found = screening.screen(tables, settings, where=where, hashes=hashes)
    return ScreenedData(
        train=settings.train,
        holdout=settings.holdout,
        rows=found.rows,
        holdout_rows=found.holdout_rows,
        screens=found.screens,
        bias=found.bias,
        note="; ".join(notes),
        duration_s=time.perf_counter() - started,
    )


def _hashes(workspace: Workspace, settings: ScreensConfig, identities: Mapping[str, DataRef]) -> Answer:
    from mlgate.screens.subject import Answer, not_run

    there = [name for name in settings.names if (workspace.root / name).exists()]  # what is not is told when it is read
    compared = {
        name: mismatch(workspace.root, name, identities[name].hash.removeprefix("md5:") if name in identities else None) for name in there
    }
    differing = [one for one in compared.values() if isinstance(one, Mismatch)]
    if differing:
        items = [ScreenItem(where=one.path, what=f"is not what {one.recorded.where} says") for one in differing]
        return Answer("; ".join(map(str, differing)), items)
    known = [name for name, one in compared.items() if one is True]
    if not known:
        return not_run("DVC has no hash of these files")
    return Answer(f"{' and '.join(known)} {'is' if len(known) == 1 else 'are'} what DVC's hash says")


def _sentences(found: ScreenedData, screens: list[ScreenFindings]) -> list[str]:
    return [f"{found.train}: {screen.name}: {screen.sentence}" for screen in screens]


def _annotations(workspace: Workspace, settings: ScreensConfig, found: ScreenedData) -> list[Annotation]:
    """Remarks at the entry of the configuration: data is rarely a file of the repository's."""
    try:
        lines = (workspace.root / workspace.config_path).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    line = _line_of(settings.train, lines)
    remarks = []
    for screen in [*found.failed, *found.warned]:
        level = "error" if screen.verdict == "failed" else "warning"
        told = [_sentence(item) for item in screen.items[:_ANNOTATED_ITEMS]] if len(screen.items) > 1 else []
        message = f"{found.train}: {screen.name}: {screen.sentence}" + "".join(f"\n- {one}" for one in told)
        remarks.append(Annotation(path=workspace.config_path, line=line, level=level, message=message))
    return remarks


def _sentence(item: ScreenItem) -> str:
    rows = (
        f" (rows {', '.join(map(str, item.row_numbers))}{', …' if item.rows > len(item.row_numbers) else ''})" if item.row_numbers else ""
    )
    return f"{f'{item.where} ' if item.where is not None else ''}{item.what}{rows}"


def _line_of(train: str, lines: list[str]) -> int:
    """The line of mlgate.yaml where an entry begins; 1 where that is not seen."""
    pattern = re.compile(rf"""\btrain['"]?\s*:\s*['"]?{re.escape(train)}(['"\s,}}]|$)""")
    return next((number for number, line in enumerate(lines, start=1) if pattern.search(line)), 1)
