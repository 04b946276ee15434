"""Results of trainings on the DVC remote: a real S3 server, with credentials that may write and such that may only read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_servers import BUCKET, S3
from integration.training.test_reuse import CONFIG, FILES, contents, earlier, forgotten, opened, trained
from support import make_repository

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC


def test_what_one_machine_trained_another_takes_that_may_only_read(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG.replace("  checkpoints: {path: checkpoints, store: ../store}\n", "")
    prefix = tmp_path.name
    root = make_repository(tmp_path / "first", {"mlgate.yaml": config, ".dvc/config": s3.config(prefix), **FILES})
    shutil.copytree(root, tmp_path / "second")
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    assert trained(opened(root))[2] is None
    kept = s3.objects(f"{prefix}/mlgate-results/digits/")
    assert sum(name.endswith(".json") for name in kept) == 1
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    assert earlier(tmp_path / "second") is not None
    assert contents(tmp_path / "second") == contents(root)
    assert trained(opened(forgotten(root)))[2] is None, "it is there already, so nothing is written"
    weights = max(kept, key=lambda name: s3.client.head_object(Bucket=BUCKET, Key=name)["ContentLength"])
    s3.client.put_object(Bucket=BUCKET, Key=weights, Body=b"poison")
    assert earlier(forgotten(tmp_path / "second")) is None
    assert contents(tmp_path / "second") == {}
    assert "left a result that is of no use: remote 'storage'" in capfd.readouterr().err


def test_wrong_credentials_let_the_training_run_and_are_said(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG.replace("  checkpoints: {path: checkpoints, store: ../store}\n", "")
    root = make_repository(tmp_path / "first", {"mlgate.yaml": config, ".dvc/config": s3.config(tmp_path.name), **FILES})
    for name, value in s3.environment((s3.access_key_id, "wrong-secret-of-somebody")).items():
        monkeypatch.setenv(name, value)
    assert earlier(root) is None
    _, _, problem = trained(opened(root))
    said = capfd.readouterr().err
    assert "no earlier run could be looked for: remote 'storage'" in said
    assert problem is not None
    assert "another run of the same will train again" in problem
    assert "wrong-secret" not in said + problem
