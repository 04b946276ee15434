"""Runs of the same training code with other seeds: a file of predictions, or of metrics, for each, named by a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from mlgate.config import EvaluationConfig
from mlgate.errors import InputError
from mlgate.evaluation import metric_files
from mlgate.evidence import SeedNumbers

FEWEST, FEWEST_OF_METRICS = 2, 3
MOST = 100


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Those of some paths that a pattern of one folder stands for, sorted."""
    wanted = PurePosixPath(pattern)
    return sorted(
        name for name in names if PurePosixPath(name).parent == wanted.parent and fnmatchcase(PurePosixPath(name).name, wanted.name)
    )


def files(root: Path, pattern: str) -> list[str]:
    """Files of the working directory that a pattern stands for, relative to it; hidden ones and pointers of DVC are none."""
    folder = root / PurePosixPath(pattern).parent
    found = [one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")] if folder.is_dir() else []
    return matching((one.relative_to(root).as_posix() for one in found if one.suffix != ".dvc"), pattern)


def written(root: Path, evaluation: EvaluationConfig) -> list[str]:
    """Every file of another seed that lies there, of predictions or of metrics."""
    return [path for pattern in (evaluation.seeds, evaluation.seed_metrics) if pattern is not None for path in files(root, pattern)]


def by_seed(paths: Iterable[str], key: str, pattern: str, fewest: int) -> dict[str, str]:
    """Paths by the name of their seed, which is the file's without its ending.

    Raises:
        InputError: there are too few, more than a hundred, or two of one name.
    """
    found: dict[str, str] = {}
    for path in paths:
        name = PurePosixPath(path).stem
        if name in found:
            raise InputError(f"{key}: '{found[name]}' and '{path}' are both of seed '{name}'; expected a file a seed")
        found[name] = path
    if not fewest <= len(found) <= MOST:
        there = f"{len(found):,} {'file' if len(found) == 1 else 'files'}"
        expected = f"at least {fewest}, a file a seed; does the training command write them?" if len(found) < fewest else f"at most {MOST}"
        raise InputError(f"{key}: '{pattern}' matches {there}; expected {expected}")
    return found


def numbers(contents: Mapping[str, tuple[str, bytes]]) -> list[SeedNumbers]:
    """What metric files of seeds say.

    Args:
        contents: by seed, what messages call the file, and the file.

    Raises:
        InputError: one is no metric file.
    """
    return [SeedNumbers(name=name, numbers=metric_files.parse(content, shown)[0]) for name, (shown, content) in contents.items()]
