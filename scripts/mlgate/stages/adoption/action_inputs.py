"""The ten-line way in: the root action's inputs as a configuration. `setup` writes it to .mlgate/mlgate.yaml; later steps use that.

Inputs are data all the way: they come by environment variables, and leave through a YAML library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mlgate import config as configuration
from mlgate import evidence as records
from mlgate import git
from mlgate.config import GENERATED_CONFIG, Config
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.mistakes import explain, shortened

DEFAULT_CONFIG = "mlgate.yaml"
INPUTS = ("predictions", "target", "prediction", "id", "score", "margin", "metrics", "rules", "task", "model")
"""Of action.yml; each travels as MLGATE_<INPUT>."""
_KEYS = {
    "model": "model",
    "evaluation.task": "task",
    "evaluation.predictions": "predictions",
    "evaluation.columns.target": "target",
    "evaluation.columns.prediction": "prediction",
    "evaluation.columns.id": "id",
    "evaluation.columns.score": "score",
    "evaluation.columns": "target",
    "evaluation.metrics_files": "metrics",
    "gate.rules": "rules",
}
_RULE = re.compile(r"(?P<metric>\S.*?)\s*(?P<sign><=|>=|<|>|=+)\s*(?P<limit>\S+)")
_MAX_RULES = 100
_HEADER = "# Made by the mlgate action of its inputs; `mlgate init` grows it into a file of your own.\n"
_NEITHER = (
    "no such file, and no inputs beside it: give the action `predictions:` (with `target:` and `prediction:`) or `metrics:`, "
    "or let 'mlgate init' write mlgate.yaml"
)


def given(environ: Mapping[str, str]) -> dict[str, str]:
    """The inputs that are not empty, by name."""
    return {name: value.strip() for name in INPUTS if (value := environ.get(f"MLGATE_{name.upper()}", "")).strip()}


def configure(root: Path, config_path: str, environ: Mapping[str, str]) -> str:
    """Decide which configuration the run uses, and write it where it is to be made of inputs.

    Args:
        root: the working directory.
        config_path: what the user named, relative to it.
        environ: with the inputs, and GITHUB_REPOSITORY for the model's default name.

    Returns:
        The configuration's path, relative to `root`.

    Raises:
        InputError: both a configuration and inputs, or neither; or an input is wrong.
        InfrastructureError: the disk refuses.
    """
    inputs = given(environ)
    is_there = os.path.lexists(root / config_path)
    if is_there and inputs:
        raise InputError(
            f"{config_path}: is there, and the step also gives {_listed(list(inputs))}; keep one of them: "
            "the file's own keys say the same, or take the file away"
        )
    if is_there or (config_path != DEFAULT_CONFIG and not inputs):
        return config_path
    if not inputs:
        if "MLGATE_PREDICTIONS" not in environ:
            return config_path  # no step that takes inputs: whoever reads the file says that it is not there
        raise InputError(f"{config_path}: {_NEITHER}")
    if config_path != DEFAULT_CONFIG:
        raise InputError(f"{config_path}: no such file, though the input `config` names it; leave `config` out, or the other inputs")
    document = document_of(inputs, model_name(root, environ))
    folder = root / Path(GENERATED_CONFIG).parent
    if folder.is_symlink() or (root / GENERATED_CONFIG).is_symlink():
        raise InputError(".mlgate: expected a folder of mlgate's own, found a link; remove it from the repository")
    text = _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    records.write_bytes(root / GENERATED_CONFIG, text.encode())
    return GENERATED_CONFIG


def document_of(inputs: Mapping[str, str], model: str) -> dict[str, Any]:
    """The configuration that these inputs mean, checked. Raises InputError."""
    document = _document(inputs, model)
    _validated(document)
    return document


def _document(inputs: Mapping[str, str], model: str) -> dict[str, Any]:
    if "predictions" not in inputs:
        needless = [name for name in ("target", "prediction", "id", "score", "margin", "task") if name in inputs]
        if needless:
            raise InputError(f"input `{needless[0]}`: is about predictions; name their file in `predictions`")
        if "metrics" not in inputs:
            raise InputError(f"{_listed(list(inputs))}: nothing to evaluate; give the action `predictions:` or `metrics:`")
    evaluation: dict[str, Any] = {name: inputs[name] for name in ("task", "predictions") if name in inputs}
    if "predictions" in inputs:
        columns: dict[str, Any] = {"id": inputs.get("id")}
        evaluation["columns"] = columns | {name: inputs[name] for name in ("target", "prediction", "score") if name in inputs}
    if "metrics" in inputs:
        evaluation["metrics_files"] = inputs["metrics"].split()
    rules = [*_margin(inputs), *_rules(inputs.get("rules", ""))]
    return {"model": inputs.get("model", model), "evaluation": evaluation, **({"gate": {"rules": rules}} if rules else {})}


def _margin(inputs: Mapping[str, str]) -> list[dict[str, Any]]:
    if "margin" not in inputs:
        return []
    margin = _number(inputs["margin"], "margin")
    if not 0 <= margin < float("inf"):
        raise InputError(f"input `margin`: expected a number from 0, got '{shortened(inputs['margin'])}'")
    return [{"margin": margin}]


def _rules(text: str) -> list[dict[str, Any]]:
    """`accuracy >= 0.9`, one a line or parted by commas."""
    rules = []
    lines = [line.strip() for line in re.split(r"[\n,]", text) if line.strip()]
    if len(lines) > _MAX_RULES:
        raise InputError(f"input `rules`: {len(lines):,} rules; expected at most {_MAX_RULES}")
    for line in lines:
        match = _RULE.fullmatch(line[:500])
        if match is None or match["sign"] not in ("<=", ">="):
            raise InputError(f"input `rules`: expected rules such as 'accuracy >= 0.9' or 'latency_ms <= 200', got '{shortened(line)}'")
        rules.append({"metric": match["metric"], "min" if match["sign"] == ">=" else "max": _number(match["limit"], "rules")})
    return rules


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or abs(number) == float("inf"):
        raise InputError(f"input `{name}`: expected a number, got '{shortened(text)}'")
    return number


def _validated(document: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(plain(_of_input(line)) for line in explain(error, Config)))) from None


def _of_input(line: str) -> str:
    """A mistake at a key, as one of the input that was written there."""
    key, _, what = line.partition(": ")
    known = next((name for path, name in _KEYS.items() if re.sub(r"\[\d+\]", "", key) == path or key.startswith(f"{path}[")), None)
    return f"input `{known}`: {what}" if known else line


def model_name(root: Path, environ: Mapping[str, str]) -> str:
    """The repository's name, as far as a model may be called so."""
    name = environ.get("GITHUB_REPOSITORY", "").rpartition("/")[2]
    if not name:
        top = git.toplevel(root)
        name = (top or root.resolve()).name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", re.sub(r"\.{2,}", ".", name)).strip("._-")[:90] or "model"
    document = {"model": name, "evaluation": {"metrics_files": ["m.json"]}}
    try:
        return configuration.Config.model_validate(document).model
    except ValidationError:
        return f"{name.removesuffix('.lock')}-model"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
