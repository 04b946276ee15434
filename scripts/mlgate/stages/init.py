"""init: proposes mlgate.yaml, a first contract and a workflow from what a repository holds. A person edits them; nothing runs."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import mlgate
from mlgate import config as configuration
from mlgate import evidence as records
from mlgate import git, strict_yaml
from mlgate.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
_TABLES = (".parquet", ".csv", ".jsonl", ".ndjson")
_ROLES = {
    "id": ("id", "example_id", "row_id", "uid", "uuid", "index"),
    "target": ("y", "y_true", "target", "label", "truth", "actual"),
    "prediction": ("y_pred", "prediction", "pred", "predicted", "y_hat", "yhat"),
    "score": ("y_score", "score", "y_prob", "proba", "probability", "prob", "y_proba"),
}
_MAX_LISTED_VALUES = 20
_MAX_CLASSES = 50


@dataclass
class Findings:
    """What was found in the repository, and what could not be."""

    model: str
    command: str = "python train.py"
    prepare: str | None = None
    params: list[str] = field(default_factory=list)
    predictions: str = "eval/predictions.csv"
    metrics_files: list[str] = field(default_factory=list)
    train_data: str | None = None
    task: str = "classification"
    columns: dict[str, str] = field(default_factory=dict)
    slices: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def run(root: Path, config_path: str, *, is_forced: bool = False) -> list[str]:
    """Write the proposals.

    Args:
        root: folder of the model.
        config_path: where mlgate.yaml goes, relative to `root`.
        is_forced: replace files that exist.

    Returns:
        Lines that say what was written, what it rests on, and what to do next.

    Raises:
        InputError: no such folder, not in a Git repository, a file is there already, or dvc.yaml cannot be read. Nothing was written then.
    """
    if not root.is_dir():
        raise InputError(f"working-directory: no folder '{root}'")
    top = git.require_repository(root)
    found = survey(root)
    proposals = {root / config_path: render_config(found)}
    if found.train_data:
        proposals[root / _contract_path(found.train_data)] = render_contract(_read_table(root / found.train_data), found.train_data)
    proposals[top / ".github/workflows/mlgate.yml"] = render_workflow(
        root.relative_to(top.resolve()), config_path, git.default_branch(root) or "main"
    )
    existing = [path for path in proposals if path.exists()]
    if existing and not is_forced:
        raise InputError(f"{_shown(existing[0], root)}: exists already; remove it, or give --force to replace it. Nothing was written.")
    configuration.parse(proposals[root / config_path].encode(), config_path)  # what we propose must be what we accept
    for path, text in proposals.items():
        records.write_bytes(path, text.encode())
    return [
        *(f"✓ {_shown(path, root)}" for path in proposals),
        *(f"  {remark}" for remark in found.remarks),
        "Read them, change what is wrong, then try: mlgate run",
    ]


def survey(root: Path) -> Findings:
    """Look at dvc.yaml and at the files there are. Raises InputError."""
    found = Findings(model=re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip(".-_") or "model")
    dvc_yaml = root / "dvc.yaml"
    if dvc_yaml.exists():
        _survey_pipeline(strict_yaml.parse(dvc_yaml.read_bytes(), "dvc.yaml"), found)
    elif (root / "train.py").exists():
        found.remarks.append("train.py: taken as the training command")
    else:
        found.remarks.append("train.command: no dvc.yaml and no train.py here; write your command")
    if not found.params and (root / "params.yaml").exists():
        found.params = ["params.yaml"]
    if found.train_data is None:
        found.train_data = next((name for name in _tables_below(root / "data", root) if "train" in name), None)
    if found.train_data and not (root / found.train_data).is_file():
        found.remarks.append(f"{found.train_data}: not here yet, so no contract was inferred; make it, then 'mlgate init --force'")
        found.train_data = None
    predictions = root / found.predictions
    if not predictions.is_file():
        nearby = [name for name in _tables_below(root, root) if "pred" in PurePosixPath(name).name.lower()]
        predictions = root / nearby[0] if nearby else predictions
        found.predictions = predictions.relative_to(root).as_posix()
    if predictions.is_file():
        _survey_predictions(_read_table(predictions), found)
    else:
        found.remarks.append(f"{found.predictions}: not here yet; columns and task are guesses")
    return found


def _survey_pipeline(document: Any, found: Findings) -> None:
    stages = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(stages, dict):
        raise InputError("dvc.yaml: expected stages")
    found.command = "dvc repro"
    for name, stage in stages.items():
        if not isinstance(stage, dict):
            continue
        outs = [*_paths(stage.get("outs")), *_paths(stage.get("metrics"))]
        found.metrics_files += [path for path in _paths(stage.get("metrics")) if path.endswith((".json", ".yaml", ".yml"))]
        if stage.get("params"):
            found.params = ["params.yaml"]
        tables = [path for path in outs if path.endswith(_TABLES)]
        for path in tables:
            file_name = PurePosixPath(path).name.lower()
            if "pred" in file_name:
                found.predictions = path
            elif "train" in file_name and found.train_data is None:
                found.train_data = path
                found.prepare = f"dvc repro {name}" if re.fullmatch(r"[\w.-]+", str(name)) else None
    found.remarks.append(f"dvc.yaml: {len(stages)} stages")


def _paths(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else []:
        yield from [entry] if isinstance(entry, str) else entry if isinstance(entry, dict) else []


def _tables_below(folder: Path, root: Path) -> list[str]:
    paths = sorted(path for suffix in _TABLES for path in folder.rglob(f"*{suffix}") if path.is_file())
    return [name for path in paths if not (name := path.relative_to(root).as_posix()).startswith(".")]


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read as a table: {str(error).splitlines()[0]}") from None


def _survey_predictions(table: pd.DataFrame, found: Findings) -> None:
    names = {str(name).lower(): str(name) for name in table.columns}
    for role, usual in _ROLES.items():
        name = next((names[word] for word in usual if word in names), None)
        if name:
            found.columns[role] = name
        elif role != "score":
            found.remarks.append(f"{found.predictions}: which column is the {role}? Write it under evaluation.columns")
    prediction = found.columns.get("prediction")
    if prediction:
        values = table[prediction]
        is_number = values.dtype.kind == "f" and bool((values.dropna() % 1 != 0).any())
        found.task = "regression" if is_number or values.nunique() > _MAX_CLASSES else "classification"
        found.remarks.append(f"{found.predictions}: {len(table):,} examples, taken as {found.task}")
    others = [name for name in table.columns if str(name) not in found.columns.values()]
    found.slices = [str(name) for name in others if _is_short_list(table[name])]


def _is_short_list(column: pd.Series[Any]) -> bool:
    """Whether a column's values could name subgroups."""
    return (
        column.dtype.kind in "biOTU"
        and all(isinstance(value, Hashable) for value in column)
        and 2 <= column.nunique() <= _MAX_LISTED_VALUES
    )


def render_config(found: Findings) -> str:
    """mlgate.yaml as text."""
    metrics = ["rmse", "mae", "r2"] if found.task == "regression" else ["accuracy", "f1_macro"]
    if found.task == "classification" and "score" in found.columns:
        metrics.append("log_loss")
    lines = [
        f"# yaml-language-server: $schema=https://raw.githubusercontent.com/mlgate/mlgate/v{mlgate.__version__}/scripts/mlgate/schemas/mlgate.schema.json",
        f"model: {_quoted(found.model)}",
    ]
    data = [f"  prepare: {found.prepare}"] if found.prepare and found.train_data else []
    if found.train_data:
        data += [
            "  contracts:",
            f"    - data: {_quoted(found.train_data)}",
            f"      schema: {_quoted(_contract_path(found.train_data))}",
        ]
    lines += ["data:", *data] if data else []
    lines += ["train:", f"  command: {found.command}", "  timeout: 2h"]
    lines += [f"  params: {_listed(found.params)}"] if found.params else []
    lines += ["evaluation:", f"  task: {found.task}", f"  predictions: {_quoted(found.predictions)}"]
    if found.columns:
        lines.append(f"  columns: {{{', '.join(f'{role}: {_quoted(name)}' for role, name in found.columns.items())}}}")
    lines.append(f"  metrics: [{', '.join(metrics)}]")
    lines += [f"  metrics_files: {_listed(found.metrics_files)}"] if found.metrics_files else []
    lines += [f"  slices: {_listed(found.slices)}"] if found.slices else []
    lines += ["gate:", "  rules:"]
    if found.task == "classification":
        lines.append("    - {metric: accuracy, margin: 0.01} # not worse than the baseline by more than one point")
    else:
        lines.append("    - {metric: r2, margin: 0.02} # not worse than the baseline by more than this")
    return "\n".join(lines) + "\n"


def render_contract(table: pd.DataFrame, data: str) -> str:
    """A first pandera schema, from the values that are there: types, nulls, uniqueness, ranges and short lists of values."""
    lines = [
        f"# Inferred from {len(table):,} rows of {data}: a beginning. Widen what may go beyond them.",
        "columns:",
    ]
    for name in table.columns:
        column = table[name]
        lines.append(f"  {_quoted(str(name))}:")
        lines.append(f"    dtype: {_dtype(column)}")
        if bool(column.isna().any()):
            lines.append("    nullable: true")
        elif str(name).lower() in _ROLES["id"] and column.is_unique:
            lines.append("    unique: true")
            continue
        if column.dtype.kind in "iuf" and column.notna().any():
            low, high = column.min(), column.max()
            lines.append(f"    checks: {{in_range: {{min_value: {low.item()}, max_value: {high.item()}}}}}")
        elif _dtype(column) == "str" and column.nunique() <= _MAX_LISTED_VALUES and not column.is_unique:
            lines.append(f"    checks: {{isin: {json.dumps(sorted(column.dropna().unique()))}}}")
    return "\n".join(lines) + "\n"


def _dtype(column: pd.Series[Any]) -> str:
    return "str" if column.dtype.kind in "OTU" or str(column.dtype) in ("str", "string") else str(column.dtype)


def render_workflow(working_directory: Path, config_path: str, default_branch: str) -> str:
    """The workflow to copy, with this model's folder filled in."""
    text = (TEMPLATES / "workflows/pull-request.yml").read_text()
    if default_branch != "main":
        text = text.replace("branches: [main] # your default branch", f"branches: [{_quoted(default_branch)}]")
    folder = working_directory.as_posix()
    if folder != ".":
        text = re.sub(r"(?m)^(\s*)# working-directory:.*$", lambda match: f"{match[1]}working-directory: {_quoted(folder)}", text)
    if config_path != "mlgate.yaml":
        text = re.sub(r"(?m)^(\s*)# config:.*$", lambda match: f"{match[1]}config: {_quoted(config_path)}", text)
    return text


def _contract_path(data: str) -> str:
    return f"contracts/{PurePosixPath(data).stem}.yaml"


def _listed(texts: list[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in _YAML_WORDS else json.dumps(text, ensure_ascii=False)


_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
