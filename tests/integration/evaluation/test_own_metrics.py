"""The user's own metrics, run by a real interpreter: what they get, what they may return, and how their mistakes are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgate.errors import InputError
from mlgate.evaluation import own_metrics
from mlgate.evaluation.own_metrics import OwnMetric, call, typed_labels
from mlgate.evaluation.predictions import Predictions, holdout_sha256
from mlgate.evaluation.user_metric import drawn
from unit.evaluation.holdouts import classified, regressed

MODULE = """\
import sys

def hits(y_true, y_pred):
    return [float(t == p) for t, p in zip(y_true, y_pred)]
hits.better = "higher"

def worst(y_true, y_pred):
    return max(abs(t - p) for t, p in zip(y_true, y_pred))
worst.better = "lower"

def seen(y_true, y_pred, y_score=None):
    print("noise on standard output")
    shape = getattr(y_score, "shape", None)
    sys.stderr.write(f"{type(y_true).__name__} {y_true[0]!r} {shape}")
    assert shape == SHAPE, shape
    return 1.0

def pooled(y_true, y_pred, **scores):
    return float(sum(scores["y_score"]))

def many_only(y_true, y_pred):
    if len(y_true) < 5:
        raise ValueError("too few")
    return len(y_true)

def raises(y_true, y_pred):
    return {}["cost"]

def exits(y_true, y_pred):
    sys.exit(3)

def none(y_true, y_pred):
    return None

def nan(y_true, y_pred):
    return float("nan")

def short(y_true, y_pred):
    return [1.0, 2.0]

def texts(y_true, y_pred):
    return ["a"] * len(y_true)

def odd(y_true, y_pred):
    return 1
odd.better = "bigger"
SHAPE = None
"""


@pytest.fixture(autouse=True)
def user_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)


def called(root: Path, name: str, found: Predictions, source: str = MODULE, groups: tuple[list[int], ...] = ()) -> OwnMetric:
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics" / "own.py").write_text(source)
    positive = found.classes[-1] if found.classes else None
    indices = [np.array(group, dtype=np.int64) for group in groups]
    return call([f"metrics/own.py:{name}"], found, positive=positive, groups=indices, root=root, is_showing_values=True)[0]


def test_one_number_an_example_is_kept_and_its_mean_is_the_metric(tmp_path: Path) -> None:
    found = classified(40, 3)
    metric = called(tmp_path, "hits", found, groups=([0, 1, 2], [5]))
    hits = (found.target == found.prediction).astype(float)
    assert metric.values is not None
    assert metric.values.tolist() == hits.tolist()
    assert (metric.value, metric.better) == (hits.mean(), "higher")
    assert metric.by_group == [hits[:3].mean(), hits[5]]


def test_a_single_number_is_computed_on_each_slice_again(tmp_path: Path) -> None:
    found = regressed(40)
    metric = called(tmp_path, "worst", found, groups=([0, 1, 2], [5]))
    errors = np.abs(found.target - found.prediction)
    assert metric.values is None
    assert metric.value == pytest.approx(errors.max())
    assert metric.by_group == pytest.approx([errors[:3].max(), errors[5]])


def test_a_slice_the_function_cannot_do_is_none_and_says_why(tmp_path: Path) -> None:
    metric = called(tmp_path, "many_only", regressed(40), groups=([0, 1], list(range(10))))
    assert metric.by_group == [None, 10]
    assert metric.undefined == "line 23: ValueError: too few"


@pytest.mark.parametrize(("k", "shape"), [(2, "(40,)"), (3, "(40, 3)")])
def test_scores_are_the_positive_class_s_or_a_column_a_class(tmp_path: Path, k: int, shape: str) -> None:
    source = MODULE.replace("SHAPE = None", f"SHAPE = {shape}")
    assert called(tmp_path, "seen", classified(40, k), source).value == 1
    found = classified(40, 2)
    assert found.scores is not None
    assert called(tmp_path, "pooled", found).value == pytest.approx(found.scores[:, 1].sum())


def test_labels_come_as_the_numbers_they_were() -> None:
    assert typed_labels(("0", "1", "10")) == [0, 1, 10]
    assert typed_labels(("0.5", "1")) == [0.5, 1.0]
    assert typed_labels(("false", "true")) == [False, True]
    assert typed_labels(("01", "1")) == ["01", "1"]
    assert typed_labels(("1", "cat")) == ["1", "cat"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("raises", "line 27: KeyError: 'cost'"),
        ("exits", "line 30: SystemExit: 3"),
        ("none", "expected a number, or 40 numbers, one an example; got NoneType"),
        ("nan", "expected finite numbers; got nan"),
        ("short", "expected a number, or 40 numbers, one an example; got 2"),
        ("texts", "expected numbers; got str"),
        ("odd", "its attribute `better` is 'bigger'; expected 'higher' or 'lower'"),
        ("absent", "no function 'absent' in it; it has exits, hits"),
        ("SHAPE", "no function 'SHAPE' in it"),
    ],
)
def test_what_goes_wrong_in_it_is_named_with_its_line(tmp_path: Path, name: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        called(tmp_path, name, regressed(40))
    assert str(caught.value).startswith(f"evaluation.metrics: metrics/own.py:{name}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_cannot_be_imported_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own.py:f: line 1: ModuleNotFoundError: No module named 'not_there'"):
        called(tmp_path, "f", regressed(4), "import not_there\n")
    with pytest.raises(InputError, match=r"own.py:f: SyntaxError"):
        called(tmp_path, "f", regressed(4), "def f(:\n")
    with pytest.raises(InputError, match=r"metrics/none.py:f: no such file"):
        call(["metrics/none.py:f"], regressed(4), positive=None, groups=[], root=tmp_path)


def test_it_may_import_the_repository_s_own_modules(tmp_path: Path) -> None:
    (tmp_path / "money.py").write_text("PRICE = 7\n")
    assert called(tmp_path, "f", regressed(4), "from money import PRICE\ndef f(y_true, y_pred): return PRICE\n").value == 7


def test_without_numpy_it_gets_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    monkeypatch.setenv("MLGATE_USER_PYTHON", str(tmp_path / "bare" / "bin" / "python"))
    source = """\
def f(y_true, y_pred, y_score):
    assert type(y_true) is list and type(y_score) is list and type(y_score[0]) is list, type(y_true)
    return [row[0] for row in y_score]
def g(y_true, y_pred):
    return sum(t == p for t, p in zip(y_true, y_pred)) / len(y_true)
"""
    found = classified(40, 3)
    assert found.scores is not None
    metric = called(tmp_path, "f", found, source, groups=([3, 4],))
    assert metric.values is not None
    assert metric.values.tolist() == found.scores[:, 0].tolist()
    other = called(tmp_path, "g", found, source, groups=([3, 4],))
    assert other.value == pytest.approx(float(np.mean(found.target == found.prediction)))
    assert other.by_group == [float(np.mean((found.target == found.prediction)[3:5]))]


def resampled(root: Path, name: str, found: Predictions) -> OwnMetric:
    (root / "own.py").write_text(SINGLE)
    return call([f"own.py:{name}"], found, positive=None, groups=[], root=root, resampled={name})[0]


SINGLE = """\
import time

import numpy as np

def spread(y_true, y_pred):
    return float(np.std(y_true - y_pred))

def slow(y_true, y_pred):
    time.sleep(0.02)
    return 1.0

def needs_the_largest(y_true, y_pred):
    if np.max(y_true) < 1000:
        raise ValueError("no")
    return 1.0

def each(y_true, y_pred):
    return np.abs(y_true - y_pred)
"""


def test_a_guarded_single_number_is_asked_for_on_resamples_and_without_each_block(tmp_path: Path) -> None:
    found = regressed(2500)
    metric = resampled(tmp_path, "spread", found)
    assert metric.resampled is not None
    assert (len(metric.resampled.draws), len(metric.resampled.left_out)) == (400, 1000)
    errors, place = found.target - found.prediction, np.arange(2500)
    assert metric.resampled.draws[7] == pytest.approx(errors[drawn(2500, f"{holdout_sha256(found)}:7")].std(), rel=1e-12)
    assert metric.resampled.left_out[7] == pytest.approx(errors[place % 1000 != 7].std(), rel=1e-12)
    assert resampled(tmp_path, "each", found).resampled is None, "a value an example needs no resamples"


def test_resamples_are_the_same_on_every_machine() -> None:
    """Two runs, perhaps years and versions apart, draw the same examples."""
    assert drawn(1000, "a:0")[:6].tolist() == [317, 313, 934, 55, 479, 98]
    assert np.bincount(drawn(1000, "a:1"), minlength=1000).std() == pytest.approx(1, abs=0.1)


def test_why_a_single_number_has_no_interval_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resampled(tmp_path, "spread", regressed(999)).not_resampled == "999 examples, it takes 1,000"
    monkeypatch.setattr(own_metrics, "RESAMPLING_LIMIT_S", 2.0)
    why = resampled(tmp_path, "slow", regressed(1000)).not_resampled or ""
    assert why.startswith("1,400 calls of it would take")
    assert why.endswith("s, at most 2 s are spent")
    found = regressed(1000)
    found.target[0] = 1e6
    assert resampled(tmp_path, "needs_the_largest", found).not_resampled == "on parts of the holdout it raises ValueError"
