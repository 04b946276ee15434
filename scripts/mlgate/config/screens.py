"""`data.screens`: what is looked for in training data beside its contract: leakage, poisoning, mistakes in labels, personal data, bias."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from mlgate.config.values import DataPlace, NonEmpty, Number, Section, is_remote

ScreenLevel = Literal["off", "warn", "fail"]
_LEVELS = ("off", "warn", "fail")


def _level(value: object) -> object:
    """YAML 1.1 reads a bare `off` as a no."""
    return "off" if value is False else value


class ScreenConfig(Section):
    """One screen: how much it matters, and from where on."""

    level: Annotated[ScreenLevel, BeforeValidator(_level)] = "warn"
    """`off`, `warn` or `fail`."""

    @model_validator(mode="before")
    @classmethod
    def _level_alone(cls, value: object) -> object:
        """`leakage: warn` is short for `leakage: {level: warn}`."""
        if value is False or isinstance(value, str):
            return {"level": value}
        if not isinstance(value, (dict, ScreenConfig)):
            raise ValueError("expected off, warn or fail, or a mapping with `level`")  # noqa: TRY004 -- pydantic explains ValueError only
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [{"enum": [*_LEVELS, False]}, {**full}], "description": full.get("description", "")}


class FailingScreen(ScreenConfig):
    level: Annotated[ScreenLevel, BeforeValidator(_level)] = "fail"
    """`off`, `warn` or `fail`."""


Share = Annotated[Number, Field(ge=0, le=1)]


class SharedRowsScreen(FailingScreen):
    at_most: Share = 0.0
    """Share of the holdout's rows that may stand in train, too, beyond what chance explains."""


class RepeatedRowsScreen(ScreenConfig):
    at_most: Share = 0.01
    """Share of train's rows that may repeat an earlier one, beyond what chance explains."""


class ConflictsScreen(ScreenConfig):
    at_most: Share = 0.001
    """Share of train's rows that may equal another in every feature and yet have another label, beyond what chance explains."""


class LabelErrorsScreen(ScreenConfig):
    at_most: Share = 0.02
    """Share of labels that confident learning may find wrong."""


class SourcesScreen(ScreenConfig):
    at_most: Share = 0.1
    """By how much a source's share of the rows, or the labels within it, may differ from the holdout's or the baseline's."""


class ShiftScreen(ScreenConfig):
    at_most: Share = 0.15
    """By how much a column's distribution in train may differ from the holdout's: Kolmogorov-Smirnov's D, or total variation."""


class TargetLeakageScreen(ScreenConfig):
    at_least: Share = 0.98
    """A column that by itself explains this share of the label's variation, or more, is too good to be true."""
    columns: Annotated[list[NonEmpty], Field(alias="except")] = []
    """Columns that may explain as much."""


class PersonalDataScreen(ScreenConfig):
    columns: Annotated[list[NonEmpty], Field(alias="except")] = []
    """Columns that may hold personal data."""


class BiasScreen(ScreenConfig):
    smallest: Annotated[int, Field(ge=0)] = 30
    """Rows that the smallest group must have."""
    at_most: Share = 0.1
    """By how much a group's share of the rows, or a label's rate within it, may differ from the baseline's or the holdout's."""


class ScreensConfig(Section):
    """One set of training data and what it is looked through for."""

    train: DataPlace
    """The data a model is trained on."""
    holdout: DataPlace | None = None
    """The data it is judged by. Left out: what takes both to be seen (`leakage`, `shift`) is not looked for."""
    label: NonEmpty | None = None
    """Column of the label."""
    id: NonEmpty | None = None
    """Column that names an example: no feature."""
    source: NonEmpty | None = None
    """Column that says where a row comes from."""
    protected: Annotated[list[NonEmpty], Field(max_length=10)] = []
    """Columns whose groups are counted, with the label's rates in each."""
    ignored: Annotated[list[NonEmpty], Field(alias="except")] = []
    """Columns that no screen looks at."""
    probabilities: DataPlace | None = None
    """Out-of-sample probabilities of train's labels that the pipeline leaves: a column named like `id`, or rows in train's order, and a
    column for each class, named like it."""

    columns: FailingScreen = FailingScreen()
    """Columns of the holdout that train lacks, or has with another type."""
    hashes: FailingScreen = FailingScreen()
    """Files that are not what DVC's hash says."""
    leakage: SharedRowsScreen = SharedRowsScreen()
    """Rows of the holdout that stand in train, too: exactly, or but for case, blanks, Unicode forms and rounding."""
    duplicates: RepeatedRowsScreen = RepeatedRowsScreen()
    """Rows that stand in train more than once."""
    conflicts: ConflictsScreen = ConflictsScreen()
    """Rows that are equal but for the label."""
    classes: FailingScreen = FailingScreen()
    """Classes that train lacks though the holdout or the baseline has them, or has though they lack them."""
    labels: FailingScreen = FailingScreen()
    """Labels of train that its rows predict worse than the holdout's rows predict the holdout's: shuffled ones, or wrong ones."""
    label_errors: LabelErrorsScreen = LabelErrorsScreen()
    """Labels that the out-of-sample probabilities say are wrong."""
    sources: SourcesScreen = SourcesScreen()
    """Sources whose labels or volume differ from the same source's in the holdout or the baseline."""
    shift: ShiftScreen = ShiftScreen()
    """Columns distributed otherwise in train than in the holdout."""
    target_leakage: TargetLeakageScreen = TargetLeakageScreen()
    """Columns each of which predicts the label by itself."""
    redundant_columns: ScreenConfig = ScreenConfig()
    """Columns with one value only, or equal to another."""
    hidden_unicode: ScreenConfig = ScreenConfig()
    """Characters that are not seen, turn the direction of text, or look like others."""
    formulas: ScreenConfig = ScreenConfig()
    """Cells that a spreadsheet would run."""
    personal_data: PersonalDataScreen = PersonalDataScreen()
    """E-mail addresses, telephone numbers, card numbers and IBANs."""
    bias: BiasScreen = BiasScreen()
    """Small groups of the protected columns, and groups that changed."""

    @model_validator(mode="after")
    def _roles_differ(self) -> Self:
        named = [name for name in (self.label, self.id) if name is not None]
        if len(set(named)) < len(named):
            raise ValueError("label and id: expected two columns, got the same one twice")
        if self.holdout == self.train:
            raise ValueError("holdout: expected another file than train")
        return self

    @property
    def names(self) -> list[str]:
        """Its data in the working directory, relative to it."""
        return [name for name in (self.train, self.holdout) if name is not None and not is_remote(name)]

    def screen(self, name: str) -> ScreenConfig:
        """The settings of a screen by its name."""
        found: ScreenConfig = getattr(self, name)
        return found


SCREENS = tuple(
    name
    for name, field in ScreensConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, ScreenConfig)
)
"""Names of all screens, in the order in which they are told."""
