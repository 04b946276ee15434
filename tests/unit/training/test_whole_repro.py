"""Whether a command can run anything but the stages of the pipeline, so that DVC's memory says all that it will do."""

from __future__ import annotations

import pytest

from mlgate.training import pipeline


@pytest.mark.parametrize(
    ("command", "is_whole"),
    [
        ("dvc repro", True),
        ("  python3 -m dvc repro --quiet ", True),
        ("dvc repro train", False),
        ("dvc repro --force", False),
        ("dvc repro -s train", False),
        ("dvc repro --no-run-cache", False),
        ("dvc repro && python more.py", False),
        ("dvc repro; nvidia-smi", False),
        ("dvc repro | tee log", False),
        ("make train", False),
        ("$(dvc repro)", False),
        ("dvc repro\npython more.py", False),
    ],
)
def test_only_a_plain_dvc_repro_is_known_to_run_nothing_but_stages(command: str, is_whole: bool) -> None:
    assert pipeline.is_whole_repro(command) is is_whole
