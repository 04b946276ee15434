"""init: proposes mlgate.yaml, a first contract and a workflow from what a repository holds. A person edits them; nothing runs.

A ten-line workflow that is there says most of what a full set-up needs, and is grown into it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import mlgate
from mlgate import config as configuration
from mlgate import environment, git, strict_yaml
from mlgate import evidence as records
from mlgate.config import CLASSIFICATION_METRICS, REGRESSION_METRICS, USUAL_METRICS, EvaluationConfig, Task
from mlgate.errors import InputError
from mlgate.stages.adoption import action_inputs, ten_line_workflow
from mlgate.stages.adoption.ten_line_workflow import TenLines

if TYPE_CHECKING:
    import pandas as pd

    from mlgate.stages.adoption.proposed_checks import ProposedChecks
    from mlgate.stages.adoption.proposed_margin import Visible

TEMPLATES = Path(__file__).resolve().parents[4] / "templates"
_TABLES = (".parquet", ".csv", ".jsonl", ".ndjson")
_ROLES = {
    "id": ("id", "example_id", "row_id", "uid", "uuid", "index"),
    "target": ("y", "y_true", "target", "label", "truth", "actual"),
    "prediction": ("y_pred", "prediction", "pred", "predicted", "y_hat", "yhat"),
    "score": ("y_score", "score", "y_prob", "proba", "probability", "prob", "y_proba"),
}
_MAX_LISTED_VALUES = 20


@dataclass
class Findings:
    """What was found in the repository, and what could not be."""

    model: str
    command: str = field(default_factory=lambda: f"{_python()} train.py")
    prepare: str | None = None
    params: list[str] = field(default_factory=list)
    predictions: str | None = "eval/predictions.csv"
    """None where there are metric files alone."""
    metrics_files: list[str] = field(default_factory=list)
    train_data: str | None = None
    task: Task | None = None
    """None where it is to be recognised."""
    columns: dict[str, str | None] = field(default_factory=dict)
    slices: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    setup: str | None = None
    """What installs the user's environment."""
    rules: list[dict[str, Any]] = field(default_factory=list)
    """Those the ten lines have."""
    visible: Visible | None = None
    """The loss this holdout can see."""
    checks: ProposedChecks | None = None
    """What else is looked for in the training data."""


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
    ten_lines = ten_line_workflow.find(top, root)
    found = survey(root, ten_lines)
    proposals = {root / config_path: render_config(found)}
    if found.train_data:
        proposals[root / _contract_path(found.train_data)] = render_contract(_read_table(root / found.train_data), found.train_data)
    workflow = top / ".github/workflows/mlgate.yml"
    grown = None
    if ten_lines is not None and ten_lines.is_alone and _is_committed(ten_lines.path):
        workflow = grown = ten_lines.path
        found.remarks.append(f"{_shown(grown, top)}: was the ten lines; Git has them")
    elif ten_lines is not None:
        found.remarks.append(f"{_shown(ten_lines.path, top)}: remove its mlgate step, the new workflow takes its place")
    proposals[workflow] = render_workflow(
        root.relative_to(top.resolve()), config_path, git.default_branch(root) or "main", found.setup if ten_lines else None
    )
    existing = [path for path in proposals if path.exists() and path != grown]
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


def _python() -> str:
    """What an interpreter is called here: many systems have no `python`; whoever sets one up on GitHub has `python3`, too."""
    path = environment.user_environment()["PATH"]
    return "python" if shutil.which("python", path=path) or not shutil.which("python3", path=path) else "python3"


def _is_committed(path: Path) -> bool:
    """Whether Git has the file as it is, so that nothing is lost where it is replaced."""
    name = f":(literal){path.name}"
    is_known = git.try_text(path.parent, "ls-files", "--error-unmatch", "--", name) is not None
    return is_known and git.try_text(path.parent, "diff", "--quiet", "HEAD", "--", name) is not None


def survey(root: Path, ten_lines: TenLines | None = None) -> Findings:
    """Look at the ten lines, at dvc.yaml and at the files there are. Raises InputError."""
    found = Findings(model=re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip(".-_") or "model")
    if ten_lines is not None:
        _take_over(ten_lines, root, found)
    dvc_yaml = root / "dvc.yaml"
    if dvc_yaml.exists():
        _survey_pipeline(strict_yaml.parse(dvc_yaml.read_bytes(), "dvc.yaml"), found)
    elif ten_lines is not None and ten_lines.command:
        found.command = ten_lines.command
        found.remarks.append(f"{ten_lines.path.name}: '{ten_lines.command}' taken as the training command")
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
    predictions = root / (found.predictions or "")
    if not predictions.is_file() and ten_lines is None:
        nearby = [name for name in _tables_below(root, root) if "pred" in PurePosixPath(name).name.lower()]
        predictions = root / nearby[0] if nearby else predictions
        found.predictions = predictions.relative_to(root).as_posix()
    if found.predictions is None:
        found.remarks.append("evaluation.predictions: metric files alone certify nothing; have predictions written, and name them")
    elif not predictions.is_file():
        found.remarks.append(f"{found.predictions}: not here yet; columns and task are guesses" + _ONCE_THERE)
    else:
        _survey_predictions(_read_table(predictions), found, is_grown=ten_lines is not None)
        _survey_margin(root, found)
    if found.train_data:
        _survey_checks(root, found)
    return found


_ONCE_THERE = ", and so is the margin: make it, then 'mlgate init --force'"


def _take_over(ten_lines: TenLines, root: Path, found: Findings) -> None:
    """What the ten lines say. The model keeps its name, under which its baseline is."""
    origin = git.without_credentials(git.try_text(root, "remote", "get-url", "origin") or "").removesuffix(".git")
    name = action_inputs.model_name(root, {"GITHUB_REPOSITORY": origin.replace(":", "/")})
    document = action_inputs.document_of(ten_lines.inputs, name)
    evaluation = document["evaluation"]
    found.model, found.setup = document["model"], ten_lines.setup
    found.predictions, found.task = evaluation.get("predictions"), evaluation.get("task")
    found.metrics_files = evaluation.get("metrics_files", [])
    found.columns = dict(evaluation.get("columns", {}))
    found.rules = document.get("gate", {}).get("rules", [])


def _survey_margin(root: Path, found: Findings) -> None:
    """The task as an evaluation sees it, and the loss that the holdout can see."""
    from mlgate.stages.adoption import proposed_margin

    columns = {role: found.columns.get(role) for role in ("id", "target", "prediction", "score") if role in found.columns}
    if "target" not in columns or "prediction" not in columns:
        return
    try:
        settings = {"task": found.task, "predictions": found.predictions, "columns": {"id": None, **columns}, "slices": found.slices}
        seen = proposed_margin.look(root, EvaluationConfig.model_validate(settings))
    except ValidationError:
        return  # two roles in one column: said where the whole proposal is checked
    except InputError as error:
        found.remarks.append(f"no margin from it: {error}")
        return
    found.task, found.visible = seen.task, seen.visible


def _survey_checks(root: Path, found: Findings) -> None:
    """What can be looked for in the training data beside its contract."""
    from mlgate.stages.adoption import proposed_checks

    assert found.train_data is not None  # noqa: S101 -- for the type checker: the caller looked
    near = [*_tables_below(root / PurePosixPath(found.train_data).parent, root), *_tables_below(root / "data", root)]
    holdout = proposed_checks.holdout_among([name for name in dict.fromkeys(near) if name != found.predictions], found.train_data)
    tables = [
        _read_table(root / name) if name and (root / name).is_file() else None for name in (found.train_data, holdout, found.predictions)
    ]
    assert tables[0] is not None  # noqa: S101 -- as above
    label, identifier = proposed_checks.roles(tables[0], tables[1], tables[2], found.columns)
    found.checks = proposed_checks.ProposedChecks(found.train_data, holdout, label, identifier)
    if holdout is None:
        found.remarks.append("data.screens: which file is the holdout? Name it there, and rows that stand in both are found")
    if label is None:
        found.remarks.append(
            f"data.screens: which column of {found.train_data} is the label? Name it there, and wrong labels are looked for"
        )


def _survey_pipeline(document: Any, found: Findings) -> None:
    stages = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(stages, dict):
        raise InputError("dvc.yaml: expected `stages`, by name; correct the file first")
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


def _survey_predictions(table: pd.DataFrame, found: Findings, *, is_grown: bool) -> None:
    names = {str(name).lower(): str(name) for name in table.columns}
    for role, usual in _ROLES.items():
        if found.columns.get(role) is not None:
            continue
        name = next((names[word] for word in usual if word in names), None)
        if name and (role != "id" or _names_examples(table[name], is_grown=is_grown)):
            found.columns[role] = name
        elif role == "id":
            found.columns[role] = None
            found.remarks.append(f"{found.predictions}: no column of ids, so row numbers, which do as long as the holdout stays as it is")
        elif role != "score":
            found.remarks.append(f"{found.predictions}: which column is the {role}? Write it under evaluation.columns")
    found.remarks.append(f"{found.predictions}: {len(table):,} examples")
    others = [name for name in table.columns if str(name) not in found.columns.values()]
    found.slices = [str(name) for name in others if _is_short_list(table[name])]


def _names_examples(column: pd.Series[Any], *, is_grown: bool) -> bool:
    """Whether a column can be the ids. Where rows were only numbered before, in ascending order, so that they stay the same examples."""
    return bool(column.is_unique and column.notna().all() and (column.is_monotonic_increasing or not is_grown))


def _is_short_list(column: pd.Series[Any]) -> bool:
    """Whether a column's values could name subgroups."""
    return (
        column.dtype.kind in "biOTU"
        and all(isinstance(value, Hashable) for value in column)
        and 2 <= column.nunique() <= _MAX_LISTED_VALUES
    )


def render_config(found: Findings) -> str:
    """mlgate.yaml as text."""
    metrics = list(USUAL_METRICS[found.task]) if found.task else []
    if found.task == "classification" and found.columns.get("score"):
        metrics.append("log_loss")
    metrics += [name for rule in found.rules if (name := rule.get("metric")) in CLASSIFICATION_METRICS + REGRESSION_METRICS]
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
    if found.checks:
        data += [
            "  screens: # rows of the holdout in train, wrong labels, repeated rows, a class that is gone, ...",
            f"    - {_mapping(found.checks.screens)}",
            "  drift: # what changed since the baseline commit",
            f"    - {_mapping(found.checks.drift)}",
        ]
    lines += ["data:", *data] if data else []
    lines += ["train:", f"  command: {found.command}", "  timeout: 2h"]
    lines += [f"  params: {_listed(found.params)}"] if found.params else []
    lines.append("evaluation:")
    lines += [f"  task: {found.task}"] if found.task else []
    lines += [f"  predictions: {_quoted(found.predictions)}"] if found.predictions else []
    if found.columns:
        named = (f"{role}: {'null' if name is None else _quoted(name)}" for role, name in found.columns.items())
        lines.append(f"  columns: {{{', '.join(named)}}}")
    lines += [f"  metrics: [{', '.join(dict.fromkeys(metrics))}]"] if found.task else []
    lines += [f"  metrics_files: {_listed(found.metrics_files)}"] if found.metrics_files else []
    lines += [f"  slices: {_listed(found.slices)}"] if found.slices else []
    rules = [*_margin_lines(found), *(_rule_line(rule) for rule in found.rules if "margin" not in rule)]
    lines += ["gate:", "  rules:", *rules] if rules else []
    return "\n".join(lines) + "\n"


def _margin_lines(found: Findings) -> list[str]:
    """The margin of the main metric: theirs where they have one, else what the holdout can see; and on what the number rests."""
    if found.predictions is None:
        return []
    visible = found.visible
    theirs = next((rule["margin"] for rule in found.rules if "margin" in rule), None)
    metric = f"metric: {visible.metric}, " if visible else ""
    if visible is None:
        why = "a guess" if theirs is None else "as in the ten lines"
        return [f"    - {{{metric}margin: {0.01 if theirs is None else theirs:g}}} # not worse than the baseline by more than this: {why}"]
    said = [f"    # {visible.sentence}", f"    # {visible.because}."]
    if theirs is None:
        return [*said, f"    - {{{metric}margin: {visible.loss:g}}} # not worse than the baseline by more than this"]
    if 0 < theirs < visible.loss:
        needed = f"about {examples:,}" if (examples := visible.needed(theirs)) else "more than anybody has"
        said.append(f"    # {theirs:g} needs {needed}; with fewer the verdict is often `cannot tell`.")
        said.append(f"    # So either more examples, or margin: {visible.loss:g}.")
    return [*said, f"    - {{{metric}margin: {theirs:g}}}"]


def _rule_line(rule: dict[str, Any]) -> str:
    limits = ", ".join(f"{key}: {rule[key]:g}" for key in ("min", "max") if key in rule)
    return f"    - {{metric: {_quoted(rule['metric'])}, {limits}}}"


def render_contract(table: pd.DataFrame, data: str) -> str:
    """A first pandera schema, from the values that are there: types, nulls, uniqueness, ranges and short lists of values."""
    from mlgate.contracts.inference import MOST_VALUES, with_room

    lines = [
        f"# Inferred from {len(table):,} rows of {data}: a beginning. Ranges have a tenth of their span in room.",
        "columns:",
    ]
    for name in table.columns:
        column = table[name]
        lines.append(f"  {_quoted(str(name))}:")
        if not all(isinstance(value, Hashable) for value in column):
            lines += ["    dtype: object", "    nullable: true"]  # lists and the like: pandera has no rules for them
            continue
        lines.append(f"    dtype: {_dtype(column)}")
        if bool(column.isna().any()):
            lines.append("    nullable: true")
        elif str(name).lower() in _ROLES["id"] and column.is_unique:
            lines.append("    unique: true")
            continue
        if column.dtype.kind in "iuf" and column.notna().any():
            seen = (column.min().item(), column.max().item())
            # Whole numbers of few values are classes or codes: one more is another.
            is_code = column.dtype.kind in "iu" and column.nunique() <= MOST_VALUES
            low, high = map(str, seen) if is_code else with_room(*seen)
            lines.append(f"    checks: {{in_range: {{min_value: {low}, max_value: {high}}}}}")
        elif _dtype(column) == "str" and column.nunique() <= _MAX_LISTED_VALUES and not column.is_unique:
            lines.append(f"    checks: {{isin: {json.dumps(sorted(column.dropna().unique()))}}}")
    return "\n".join(lines) + "\n"


def _dtype(column: pd.Series[Any]) -> str:
    return "str" if column.dtype.kind in "OTU" or str(column.dtype) in ("str", "string") else str(column.dtype)


def render_workflow(working_directory: Path, config_path: str, default_branch: str, setup: str | None = None) -> str:
    """The workflow to copy, with this model's folder, and what prepares its environment, filled in."""
    text = (TEMPLATES / "workflows/pull-request.yml").read_text()
    if setup:
        text = text.replace("setup-command: pip install -r requirements.txt", f"setup-command: {_quoted(setup)}")
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


def _mapping(entries: Mapping[str, str | list[str]]) -> str:
    return f"{{{', '.join(f'{key}: {_quoted(each) if isinstance(each, str) else _listed(each)}' for key, each in entries.items())}}}"


def _listed(texts: list[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in _YAML_WORDS else json.dumps(text, ensure_ascii=False)


_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
