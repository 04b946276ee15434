"""A small project with a real DVC pipeline, made once and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support import GIT_IDENTITY, git

CONFIG = """\
model: digits
train: {command: dvc repro, params: [params.yaml]}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
  metrics_files: [eval/metrics.json]
  slices: [writer]
gate:
  rules: [{metric: accuracy, margin: 0.1}, {metric: latency.p95_ms, max: 200}]
"""

TRAIN = """\
import json, pathlib
wrong = json.loads(pathlib.Path('params.yaml').read_text())['wrong']
rows = pathlib.Path('prepared/rows.csv').read_text().split()
out = ['id,y,y_pred,writer']
for place, row in enumerate(rows):
    out.append(f'{place},{row},{row if place >= wrong else 9},{"ab"[place % 2]}')
pathlib.Path('eval').mkdir(exist_ok=True)
pathlib.Path('eval/predictions.csv').write_text('\\n'.join(out) + '\\n')
pathlib.Path('eval/metrics.json').write_text(json.dumps({'latency': {'p95_ms': 100 + wrong}, 'model': 'x'}))
"""

PIPELINE = """\
stages:
  prepare:
    cmd: mkdir -p prepared && cp data.csv prepared/rows.csv
    deps: [data.csv]
    outs: [prepared]
  train:
    cmd: python3 train.py
    deps: [prepared/rows.csv, train.py]
    params: [wrong]
    outs: [eval/predictions.csv]
    metrics: [{eval/metrics.json: {cache: false}}]
"""


def dvc(root: Path, *arguments: str) -> None:
    """A dvc command that must succeed."""
    environ = {**os.environ, **GIT_IDENTITY, "DVC_NO_ANALYTICS": "1"}
    finished = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def make_project(folder: Path) -> Path:
    """`folder/repo` with a remote in `folder/remote`; the pipeline has run, its results are committed and pushed."""
    root = folder / "repo"
    root.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--quiet", "-d", "storage", "../remote")
    files = {
        "mlgate.yaml": CONFIG,
        "train.py": TRAIN,
        "dvc.yaml": PIPELINE,
        "params.yaml": '{"wrong": 1}',
        "data.csv": "\n".join("012" * 20),
    }
    for name, text in files.items():
        (root / name).write_text(text)
    dvc(root, "add", "--quiet", "data.csv")
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet", "--run-cache")
    commit_all(root, "baseline")
    return root


def commit_all(root: Path, message: str) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def copy_project(source: Path, folder: Path) -> Path:
    shutil.copytree(source.parent, folder, symlinks=True)
    return folder / source.name


def object_path(store: Path, md5: str) -> Path:
    """Where DVC keeps an object below a cache or a remote."""
    return store / "files" / "md5" / md5[:2] / md5[2:]
