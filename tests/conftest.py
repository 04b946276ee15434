"""Fixtures of every level of test."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from github_stand_in import StandIn


@pytest.fixture(scope="session", autouse=True)
def a_python_called_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The users of the tests have an environment in which `python` is one; Debian has only `python3`."""
    path = os.environ["PATH"]
    if shutil.which("python") is None:
        folder = tmp_path_factory.mktemp("bin")
        (folder / "python").symlink_to(Path(getattr(sys, "_base_executable", "") or sys.executable).resolve())
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
    yield
    os.environ["PATH"] = path


@pytest.fixture(scope="session", autouse=True)
def a_dvc_that_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Else it remembers each repository in the system's folder, and tells its makers of its use, with a file there if it reaches nobody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("dvc-site-cache")))
        patch.setenv("DVC_NO_ANALYTICS", "true")
        yield


@pytest.fixture
def github() -> Iterator[StandIn]:
    """GitHub, stood in for; a request or answer that is not as GitHub describes it fails the test."""
    from github_stand_in import StandIn  # half a second that most tests can do without

    with StandIn() as stand_in:
        yield stand_in
        assert stand_in.violations == []
