"""A margin that a holdout can see, for `init` to propose: from the predictions at hand, and an earlier model's where Git has them."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlgate import git
from mlgate.config import USUAL_METRICS, EvaluationConfig, Task
from mlgate.errors import InputError
from mlgate.evaluation import loading, predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.stats import sample_size

CONFIDENCE = 0.95
_VERSIONS = 5


@dataclass(frozen=True)
class Visible:
    """The loss a holdout can see."""

    metric: str
    loss: float
    """In the metric's own unit, rounded up to two digits."""
    examples: int
    because: str
    """What the number rests on."""

    @property
    def sentence(self) -> str:
        return (
            f"{self.examples:,} examples see a loss of {self.loss:g} in {self.metric} four times out of five "
            f"(one-sided confidence {CONFIDENCE * 100:g} %),"
        )

    def needed(self, margin: float) -> int:
        """How many examples a smaller margin needs."""
        return sample_size.examples_for(margin, self.loss, self.examples)


@dataclass(frozen=True)
class Seen:
    """What a predictions file holds."""

    task: Task
    visible: Visible | None
    """None where nothing is wrong in it: such a holdout tells no models apart."""


def look(root: Path, evaluation: EvaluationConfig) -> Seen:
    """Read the predictions, and an earlier version of them out of Git. Raises InputError where the file is wrong."""
    name = str(evaluation.predictions)
    found = loading.load(root / name, evaluation, name)
    metric = USUAL_METRICS[found.task][0]
    pairing, commit = _earlier(root, evaluation, found)
    if pairing is not None:
        ours, theirs = pairing.candidate, pairing.baseline
        of = f"of commit {commit[:7]}"
        if found.classes is not None:
            share = float(np.mean((ours.prediction == ours.target) != (theirs.prediction == theirs.target)))
            loss = sample_size.visible_loss_of_accuracy(ours.n, share, CONFIDENCE)
            because = f"since this model and the one {of} differ in being right on {share * 100:.3g} % of them"
        else:
            loss = sample_size.visible_loss_of_rmse_between(_errors(ours), _errors(theirs), CONFIDENCE)
            because = f"by how far the errors of this model and the one {of} lie apart"
    elif found.classes is not None:
        loss = sample_size.visible_loss_of_accuracy(found.n, sample_size.ASSUMED_DISAGREEMENT, CONFIDENCE)
        because = f"assuming that of two models one alone is right on {sample_size.ASSUMED_DISAGREEMENT * 100:g} % of them"
    else:
        loss = sample_size.visible_loss_of_rmse(_errors(found), CONFIDENCE) if found.n > 1 else 0.0
        because = f"assuming that squared errors of two models correlate by {sample_size.ASSUMED_CORRELATION:g}"
    return Seen(found.task, Visible(metric, _rounded_up(loss), found.n, because) if loss > 0 else None)


def _errors(model: Predictions) -> predictions.Floats:
    errors: predictions.Floats = model.prediction - model.target
    return errors


def _earlier(root: Path, evaluation: EvaluationConfig, found: Predictions) -> tuple[Pairing | None, str]:
    """The newest earlier version of the file that Git has and that is another model's on the same holdout."""
    name = str(evaluation.predictions)
    listed = git.try_text(root, "log", f"--max-count={_VERSIONS}", "--format=%H", "--", f":(literal){name}") or ""
    for commit in listed.split():
        content = git.file_at(root, commit, name)
        if content is None or content == (root / name).read_bytes():
            continue
        with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
            path = Path(folder, Path(name).name)
            path.write_bytes(content)
            try:
                earlier = loading.load(path, evaluation.model_copy(update={"task": found.task}), name, are_slices_optional=True)
                pair = predictions.pair if evaluation.columns.id is not None else predictions.pair_by_row
                pairing = pair(found, earlier)
            except (InputError, predictions.HoldoutChangedError):
                continue
        if pairing.shared_examples > 1:
            return pairing, commit
    return None, ""


def _rounded_up(number: float) -> float:
    """To two significant digits, never less: a margin that is rounded down is not seen."""
    if number <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(round(number / unit, 6)) * unit:.12g}")
