"""The contract of a folder of files: each file inspected in worker processes, then what all of them make together: number, classes,
duplicates, and whether the manifest and the folder agree."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from mlgate.config.files import IMAGES, SOUNDS, FilesConfig
from mlgate.contracts import wording
from mlgate.contracts.contract import Checked
from mlgate.contracts.files import formats, manifest, tallies, workers
from mlgate.contracts.files.inspection import Inspected, Wanted
from mlgate.contracts.files.listing import Listing, data_matcher, listing
from mlgate.contracts.files.manifest import Manifest
from mlgate.contracts.files.tallies import Tally
from mlgate.errors import InputError
from mlgate.evidence import BrokenRule, ContractFindings, FolderFindings

_CLASSES_KEPT = 1000
_ORDER = ("readable", "types ", "content as named", "decodable", "md5 ", "sha256 ", "listed in ")


def check(
    root: Path,
    data: str,
    rules: FilesConfig,
    *,
    schema_path: str,
    recorded: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
    processes: int | None = None,
) -> Checked:
    """Check a folder of files; never stops at the first broken rule.

    Args:
        root: the working directory.
        data: the folder, relative to `root`.
        rules: of the folder.
        schema_path: the file that holds the rules, for the findings.
        recorded: MD5 of each file by DVC's record, for `hashes: dvc`.
        say: is told how far it is.
        processes: how many workers decode; None for as many as there are cores.

    Raises:
        InputError: no such folder, a manifest that cannot be read, or a decoder that is not installed.
    """
    started = time.perf_counter()
    _check_decoders(rules)
    there = listing(root, data, rules.ignore)
    listed = manifest.read(root, rules.manifest) if rules.manifest is not None else None
    if rules.classes == "manifest" and listed is not None and listed.labels is None:
        raise InputError(f"{listed.name}: no column 'label', and `classes: manifest` needs one; name it: manifest: {{file: …, label: …}}")
    classes = _classes(there.files, rules, listed)
    lists = [one for one in (listed, _of_dvc(recorded, rules) if recorded is not None else None) if one is not None]
    folder = _Folder(rules, lists, classes)
    wanted = Wanted(
        is_decoded=rules.decodable != "off" or _is_asking_for_content(rules),
        has_sha256=rules.duplicates != "off" or rules.conflicts != "off" or _has_hashes(lists, "sha256"),
        has_md5=_has_hashes(lists, "md5"),
    )
    types = frozenset[str](rules.types)
    tasks = [(str(root / data / name), kind if (kind := formats.by_name(name)) in types else None) for name in there.files]
    for number, (name, task, found) in enumerate(
        zip(there.files, tasks, workers.inspect_all(tasks, wanted, processes), strict=True), start=1
    ):
        folder.add(name, task[1], found)
        if say is not None and number % 1000 == 0:
            say(f"{number:,} of {len(tasks):,} files")
    broken, warned = folder.verdict(there)
    findings = ContractFindings(
        data=data,
        schema_path=schema_path,
        is_passed=not broken,
        rows=len(there.files),
        columns=0,
        broken=broken,
        duration_s=time.perf_counter() - started,
        folder=FolderFindings(
            size_bytes=folder.size_bytes,
            types=dict(sorted(folder.types.items())),
            classes=None
            if classes is None
            else {tallies.shown(name): count for name, count in sorted(folder.classes.items())[:_CLASSES_KEPT]},
        ),
    )
    return Checked(findings, [wording.sentence(rule, findings.rows) for rule in warned])


def _check_decoders(rules: FilesConfig) -> None:
    """Refuse to call decodable what nothing here can decode."""
    if rules.decodable == "off" and not _is_asking_for_content(rules):
        return
    for types, module in ((IMAGES, "PIL"), (SOUNDS - {"wav"}, "soundfile")):
        asked = [one for one in rules.types if one in types]
        if asked and find_spec(module) is None:
            package = {"PIL": "pillow"}.get(module, module)
            raise InputError(
                f"data.contracts: {', '.join(asked)} cannot be decoded here, {package} is not installed: install mlgate[files], "
                "or write `decodable: off`"
            )


def _is_asking_for_content(rules: FilesConfig) -> bool:
    keys = ("width", "height", "mode", "duration", "sample_rate", "channels", "length")
    return any(getattr(rules, key) is not None for key in keys)


def _has_hashes(lists: list[Manifest], name: str) -> bool:
    return any(listed.hash_name == name for listed in lists)


def _of_dvc(recorded: Mapping[str, str], rules: FilesConfig) -> Manifest:
    """DVC's record as a manifest of those files that are data."""
    is_data = data_matcher(rules.ignore)
    hashes = {name: md5 for name, md5 in recorded.items() if is_data(name)}
    return Manifest("DVC's record", None, hashes, "md5", dict.fromkeys(hashes), [], [], [])


def _classes(files: Iterable[str], rules: FilesConfig, listed: Manifest | None) -> dict[str, str] | None:
    """Class of each file that has one; None where there are no classes."""
    if rules.classes == "folder":
        return {name: name.partition("/")[0] for name in files if "/" in name}
    return listed.labels if listed is not None else None


@dataclass
class _Folder:
    """Everything that is seen of a folder, file by file."""

    rules: FilesConfig
    lists: list[Manifest]
    class_of: dict[str, str] | None
    size_bytes: int = 0
    types: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    tallies: dict[str, Tally] = field(default_factory=dict)
    first_of: dict[str, str] = field(default_factory=dict)
    """The first file of each content."""
    classes_of: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Of content that is there more than once: its files by class."""

    def add(self, name: str, kind: str | None, found: Inspected) -> None:
        self.size_bytes += found.size_bytes
        if self.class_of is not None and (named := self.class_of.get(name)) is not None:
            self.classes[named] += 1
        if found.unreadable:
            self._tally("readable", name, found.unreadable)
            return
        self.types[kind or "other"] += 1
        self._compare(name, found)
        # One reason a file: what is no image at all need not be told to be a small one.
        if kind is None:
            self._tally(f"types {', '.join(self.rules.types)}", name)
        elif found.mismatch:
            self._tally("content as named", name, found.mismatch)
        elif found.undecodable and self.rules.decodable != "off":
            self._tally("decodable", name, found.undecodable)
        else:
            self._measure(name, found)

    def _tally(self, rule: str, name: str, detail: str = "") -> None:
        self.tallies.setdefault(rule, Tally(rule)).add(name, detail)

    def _measure(self, name: str, found: Inspected) -> None:
        rules = self.rules
        for what, unit, limits, value in (
            ("size", "B", rules.size, found.size_bytes),
            ("width", "px", rules.width, found.width),
            ("height", "px", rules.height, found.height),
            ("duration", "s", rules.duration, found.duration_s),
            ("length", "characters", rules.length, found.length),
        ):
            if limits is not None and value is not None and not _is_within(value, limits):
                shown = _size if unit == "B" else _plain_number
                self._tally(f"{what} {_range(limits, shown)}{'' if unit == 'B' else f' {unit}'}", name, _measured(value, unit))
        for what, unit, allowed, one in (
            ("mode", "", rules.mode, found.mode),
            ("sample rate", " Hz", rules.sample_rate, found.sample_rate),
            ("channels", "", rules.channels, found.channels),
        ):
            if allowed is not None and one is not None and one not in allowed:
                self._tally(f"{what} {' or '.join(map(str, allowed))}{unit}", name, f"{one}{unit}")

    def _compare(self, name: str, found: Inspected) -> None:
        """With the manifest, and with the files before it."""
        for listed in self.lists:
            if name not in listed.paths:
                if self.rules.strays == "refuse":
                    self._tally(f"listed in {listed.name}", name)
            elif listed.hashes is not None and listed.hash_name is not None:
                wanted, got = listed.hashes.get(name), getattr(found, listed.hash_name)
                if wanted is not None and wanted != got:
                    self._tally(f"{listed.hash_name} as in {listed.name}", name, f"{got[:12]}…, not {wanted[:12]}…")
        if found.sha256 and found.size_bytes:
            first = self.first_of.setdefault(found.sha256, name)
            if first != name:
                known = self.classes_of.setdefault(found.sha256, {self._class(first): [first]})
                known.setdefault(self._class(name), []).append(name)

    def _class(self, name: str) -> str:
        return (self.class_of or {}).get(name, "")

    def verdict(self, there: Listing) -> tuple[list[BrokenRule], list[BrokenRule]]:
        """Broken rules, and those that only warn."""
        total = len(there.files)
        broken = [*_about_listing(there, total), *self._about_number(total)]
        warned: list[BrokenRule] = []
        for tally in sorted(self.tallies.values(), key=lambda tally: _place(tally.rule)):
            is_warning = tally.rule == "decodable" and self.rules.decodable == "warn"
            (warned if is_warning else broken).append(tally.broken(total))
        broken += self._about_lists(there)
        if self.class_of is not None:
            broken += self._about_classes(total, there.files)
        for tally, level in self._about_content():
            if tally.count and level != "off":
                (broken if level == "fail" else warned).append(tally.broken(total))
        return broken, warned

    def _about_number(self, total: int) -> list[BrokenRule]:
        found = []
        if not total:
            found.append(tallies.of_all("at least one file"))
        elif self.rules.count is not None and not _is_within(total, self.rules.count):
            found.append(tallies.of_all(f"files {_range(self.rules.count, _plain_number)}, found {total:,}"))
        return found

    def _about_lists(self, there: Listing) -> list[BrokenRule]:
        is_there = set(there.files)
        found = []
        for listed in self.lists:
            for rule, names in (
                (f"every file of {listed.name} there", [name for name in listed.paths if name not in is_there]),
                (f"one row a file in {listed.name}", listed.twice),
                (f"a label in {listed.name}", listed.without_label if self.rules.classes != "folder" else []),
                (f"a {listed.hash_name} in {listed.name}", listed.without_hash),
            ):
                tally = Tally(rule)
                for name in names:
                    tally.add(name)
                if tally.count:
                    found.append(tally.broken(len(listed.paths) + len(listed.twice)))
        return found

    def _about_classes(self, total: int, files: list[str]) -> list[BrokenRule]:
        found = []
        if self.rules.classes == "folder":
            loose = Tally("in the folder of a class")
            for name in files:
                if "/" not in name:
                    loose.add(name)
            found += [loose.broken(total)] if loose.count else []
        expected = self.rules.class_names
        counts = {name: self.classes.get(name, 0) for name in dict.fromkeys([*(expected or ()), *sorted(self.classes)])}
        if expected is not None:
            found += [tallies.of_all(f"class '{name}' there") for name in expected if not counts[name]]
            found += [tallies.of_all(f"no class '{name}', found {counts[name]:,} files") for name in sorted(set(counts) - set(expected))]
        least = _least(self.rules.smallest_class, total)
        if least is not None:
            found += [
                tallies.of_all(f"class '{name}' of {self.rules.smallest_class} files, found {count:,}")
                for name, count in counts.items()
                if 0 < count < least
            ]
        if self.rules.class_ratio is not None and (known := {name: count for name, count in counts.items() if count}):
            smallest, largest = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
            ratio = known[largest] / known[smallest]
            if ratio > self.rules.class_ratio:
                pair = f"'{largest}' {known[largest]:,}, '{smallest}' {known[smallest]:,}"
                found.append(tallies.of_all(f"classes within a ratio of {self.rules.class_ratio:g}, found {ratio:.3g}: {pair}"))
        return found

    def _about_content(self) -> list[tuple[Tally, str]]:
        """Files with the content of another: within a class, and across classes."""
        within, across = Tally("content of its own"), Tally("one class for one content")
        for by_class in self.classes_of.values():
            for names in by_class.values():
                for name in names[1:]:
                    within.add(name, f"as {names[0]}")
            if len(by_class) > 1:
                for named, names in by_class.items():
                    other = next(first[0] for another, first in by_class.items() if another != named)
                    for name in names:
                        across.add(name, f"as {other}")
        return [(within, self.rules.duplicates), (across, self.rules.conflicts if self.class_of is not None else "off")]


def _place(rule: str) -> int:
    """In which order broken rules are told: the worse first."""
    return next((place for place, start in enumerate(_ORDER) if rule.startswith(start)), len(_ORDER))


def _about_listing(there: Listing, total: int) -> list[BrokenRule]:
    found = []
    for rule, names in (("inside the folder", there.leaving), ("ordinary files", there.not_files)):
        tally = Tally(rule)
        for name in names:
            tally.add(name)
        if tally.count:
            found.append(tally.broken(total + len(names)))
    return found


def _least(asked: int | str | None, total: int) -> float | None:
    return float(asked.rstrip("%")) / 100 * total if isinstance(asked, str) else asked


def _is_within(value: float, limits: tuple[float | None, float | None]) -> bool:
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)


def _range(limits: tuple[float | None, float | None], shown: Callable[[float], str]) -> str:
    low, high = limits
    if low is None or high is None:
        return f"at most {shown(high)}" if high is not None else f"at least {shown(low or 0)}"
    return f"{shown(low)}..{shown(high)}" if low != high else shown(low)


def _plain_number(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _size(value: float) -> str:
    """Bytes exactly, in the largest unit that is exact."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if value >= factor and value * 1000 % factor == 0:
            return f"{value / factor:g} {unit}"
    return f"{value:,} B"


def _measured(value: float, unit: str) -> str:
    return f"{value:,} B" if unit == "B" else f"{_plain_number(value)} {unit}"
