"""What evaluate finds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlgate.evidence.gpu import TrainingCost
from mlgate.evidence.record import CarriedSource, Commit, FileRef, Record, Sha256, Text


class Resampled(Record):
    """The user's own number on resamples of the holdout, the same ones for every model; the run's own word, like its predictions."""

    code_sha256: Sha256
    """Of the file that the function is in."""
    draws: list[float | None]
    """On each resample of the examples, in order of their ids; None where the function raised."""
    left_out: list[float]
    """Without each block of examples: of `b` blocks number `k` holds the examples k, k + b, k + 2 b, …"""


class MetricValue(Record):
    name: Text
    value: float
    better: Literal["higher", "lower"] | None
    """None for a number of which mlgate does not know it."""
    source: Literal["predictions", "file", "user"]
    resampled: Resampled | None = None
    """Of the user's own single number, where a margin guards it and it was cheap enough to ask for often."""


class SliceMetrics(Record):
    column: Text
    value: Text
    n: int
    metrics: dict[str, float | None]
    """None where a metric is not defined on the slice."""


class FurtherSet(Record):
    """Predictions beside those on the holdout itself: the same ids and targets."""

    name: Text
    """Of the perturbed set as `evaluation.perturbed` calls it, or of the seed."""
    n: int
    classes: list[Text] | None = None
    metrics: list[MetricValue]
    predictions: FileRef
    """Normalised, as those on the holdout itself; the same ids and targets."""


class PerturbedSet(FurtherSet):
    """A model's evaluation on a perturbed copy of its holdout."""


class SeedSet(FurtherSet):
    """Another run of the same training code, with a seed of its own, on the holdout itself."""


class SeedNumbers(Record):
    """Numbers of a metric file that another run of the same training code wrote."""

    name: Text
    """Of the seed."""
    numbers: dict[str, float]


class ScoredModel(Record):
    """A model's evaluation on a holdout: what the store keeps, and what two models are compared by."""

    commit: Commit | None
    inputs_sha256: Sha256 | None
    """Hash of code, data and parameters the evaluation came from."""
    task: Literal["classification", "regression"] | None = None
    """None where metric files are all there is."""
    n: int | None = None
    """Examples in the holdout; None without predictions."""
    holdout_sha256: Sha256 | None = None
    """Of the sorted ids and their targets; None without predictions."""
    ids: Literal["column", "row numbers"] = "column"
    """What names the examples. Row numbers do only as long as the holdout stays as it is."""
    classes: list[Text] | None = None
    metrics: list[MetricValue]
    slices: list[SliceMetrics]
    predictions: FileRef | None = None
    """Normalised predictions, Parquet: see `evaluation.predictions`. None where metric files are all there is."""
    perturbed: list[PerturbedSet] = []
    """By the names of `evaluation.perturbed`; none where there are no predictions."""
    seeds: list[SeedSet] = []
    """Of `evaluation.seeds`, sorted by name; none where one set of predictions is all there is."""
    seed_metrics: list[SeedNumbers] = []
    """Of `evaluation.seed_metrics`, sorted by name."""
    training: TrainingCost | None = None
    """What its training took; None where nothing was trained by mlgate, or nobody measured it."""

    @model_validator(mode="after")
    def _has_predictions_or_none(self) -> Self:
        with_predictions = {name for name in ("task", "n", "holdout_sha256", "predictions") if getattr(self, name) is not None}
        if with_predictions and len(with_predictions) < 4:
            raise ValueError("expected task, n, holdout_sha256 and predictions together, or none of them")
        return self


class CarriedBaseline(Record):
    """The baseline's evaluation as the training job found it; the only job that has the data's credentials."""

    model: ScoredModel
    source: CarriedSource


class Latency(Record):
    """How long requests took, measured by the candidate's own job: its word, like its predictions."""

    measured_by: Literal["mlgate", "user"]
    program: Text
    """The command, the MLflow model or the file of samples."""
    samples: FileRef
    """Every time that was taken, as `LatencySamples`."""
    requests: int
    """Of each model, in all; warm-up aside."""
    rounds: int | None
    """None where the user's samples say nothing of rounds."""
    batch: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Rows of a request."""
    warm_up: int = 0
    quantiles: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(max_length=20)]
    baseline_commit: Commit | None = None
    """Whose model took turns with the candidate's; None where only the candidate was measured."""
    baseline_note: Text = ""
    """Why only the candidate was measured, where a baseline was looked for."""


MAX_LATENCY_BYTES = 10_000_000
MAX_MILLISECONDS = 1e9


class LatencySamples(Record):
    """Milliseconds of every request, by round."""

    candidate: list[list[Annotated[float, Field(ge=0, le=MAX_MILLISECONDS)]]]
    baseline: list[list[Annotated[float, Field(ge=0, le=MAX_MILLISECONDS)]]] | None = None

    @model_validator(mode="after")
    def _are_of_rounds(self) -> Self:
        for rounds in filter(None, (self.candidate, self.baseline)):
            if len({len(one) for one in rounds}) != 1 or not rounds[0]:
                raise ValueError("expected rounds of equally many requests")
        if not self.candidate or (self.baseline is not None and len(self.baseline) != len(self.candidate)):
            raise ValueError("expected as many rounds of both models, and at least one")
        return self


class EvaluateFindings(Record):
    candidate: ScoredModel
    baseline: CarriedBaseline | None = None
    pinned: CarriedBaseline | None = None
    """The evaluation of the release that is the second of two baselines."""
    baseline_note: Text = ""
    """Why there is no evaluation of a baseline, where one was looked for."""
    latency: Latency | None = None
    """None where `evaluation.latency` is left out."""
    rescored: ScoredModel | None = None
    """The baseline's model on the candidate's holdout, where that is another than the one it was evaluated on (`evaluation.predict`)."""
    recognised: Text = ""
    """As what the predictions were taken, by what, and how to say otherwise; empty where the configuration states the task."""
    warnings: list[Text] = []
    """What could not be computed, and why: one class in a slice, a metric that is not defined."""
