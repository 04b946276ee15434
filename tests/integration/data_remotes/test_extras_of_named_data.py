"""Whether scripts/mlgate.sh installs decoders and clients of object stores: where mlgate.yaml names such data, and nowhere else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/mlgate.sh"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data:\n  contracts:\n    - data: data/images\n      files:\n        types: [png]\n", ["files"]),
        ("data: {contracts: [{data: data/images, files: {types: [png]}}]}\r\n", ["files"]),
        ("data:\n  contracts:\n    - data: s3://bucket/train.parquet\n", ["dvc-s3"]),
        ('data: {drift: [{data: "gs://bucket/train.parquet", against: az://box/x}]}', ["dvc-azure", "dvc-gs"]),
        ("  - {data: abfss://box@account.dfs.core.windows.net/x}\n  - {data: s3://a/b}\n  - {data: s3://a/c}\n", ["dvc-azure", "dvc-s3"]),
        ("train: {command: x, checkpoints: {path: c, store: ssh://host/checkpoints}}\n", ["dvc-ssh"]),
        ("train:\n  checkpoints:\n    path: c\n    store: azure://box/checkpoints\n", ["dvc-azure"]),
        ("# data: s3://bucket/train.parquet\n#   files: {}\n", []),
        ("data:\n  pull: [data/files, profiles]\nprofiles: 3\n", []),
        ("", []),
    ],
)
def test_what_mlgate_yaml_names_says_so(tmp_path: Path, text: str, expected: list[str]) -> None:
    python = tmp_path / "python"  # stands in the place of the interpreter that would install, and says what it was told to install
    python.write_text('#!/bin/sh\n[ "$2" = -c ] || echo "$@"\n')
    python.chmod(0o755)
    (tmp_path / "mlgate.yaml").write_text(text, newline="")
    found = {}
    for stage in ("validate-data", "train", "gate"):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLGATE_PYTHON": str(python), "MLGATE_STAGES": stage}
        command = ["bash", str(SCRIPT), "--environment"]
        finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert finished.stderr == ""
        found[stage] = [word for word in finished.stdout.split() if word == "files" or word.startswith("dvc-")]
    assert found == {"validate-data": expected, "train": expected, "gate": []}
