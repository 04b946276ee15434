"""A margin that a holdout can see, for `init` to propose: from the predictions at hand, and an earlier model's where Git has them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlgate import git
from mlgate.config import USUAL_METRICS, EvaluationConfig, Task
from mlgate.errors import InputError
from mlgate.evaluation import loading, predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.render import numbers
from mlgate.stages.decision import planned
from mlgate.stats import bootstrap, planning
from mlgate.stats import comparison as statistics

CONFIDENCE = 0.95
_VERSIONS = 5


@dataclass(frozen=True)
class Visible:
    """The loss a holdout can see."""

    metric: str
    loss: float
    """In the metric's own unit, rounded up to two digits."""
    noise: planning.Noise
    because: str
    """What the number rests on."""

    @property
    def examples(self) -> int:
        return self.noise.n

    @property
    def sentence(self) -> str:
        return (
            f"{self.examples:,} examples see a loss of {self.loss:g} in {self.metric} four times out of five "
            f"(one-sided confidence {CONFIDENCE * 100:g} %),"
        )

    def needed(self, margin: float) -> int | None:
        """How many examples a smaller margin needs; None where no number would do."""
        return planning.examples_for_margin(self.noise, margin, CONFIDENCE)


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
    pairing, commit = earlier(root, evaluation, found)
    of = f"of commit {commit[:7]}"
    if found.classes is not None:
        share = planned.disagreement_of(pairing) if pairing else planning.ASSUMED_DISAGREEMENT
        noise: planning.Noise | None = planning.PairedProportions(pairing.shared_examples if pairing else found.n, share)
        because = f"since this model and the one {of} differ in being right on {share * 100:.3g} % of them"
        assumed = f"assuming that of two models one alone is right on {share * 100:g} % of them"
    else:
        each = [_noise_of_rmse(one) for one in ([pairing] if pairing else planned.beside_twins(found))]
        noise = planned.together(finite) if (finite := [one for one in each if one]) else None
        because = f"by how far the errors of this model and the one {of} lie apart"
        assumed = f"assuming that squared errors of two models correlate by {planning.ASSUMED_CORRELATION:g}"
    loss = planning.visible_loss(noise, CONFIDENCE) if noise is not None else None
    because = because if pairing else assumed
    return Seen(found.task, Visible(metric, numbers.rounded_up(loss), noise, because) if noise and loss else None)


def _noise_of_rmse(pairing: Pairing) -> planning.NormalDifference | None:
    """As the gate's own interval has it."""
    one, other = (statistics.Model(model.target, model.prediction) for model in (pairing.candidate, pairing.baseline))
    seed = bootstrap.seed_of(predictions.holdout_sha256(pairing.candidate), "rmse")
    compared = statistics.compare("rmse", statistics.Pair(one, other), CONFIDENCE, seed)
    return planning.noise_of(compared.interval.mirrored, compared.n, CONFIDENCE)


def earlier(root: Path, evaluation: EvaluationConfig, found: Predictions) -> tuple[Pairing | None, str]:
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
