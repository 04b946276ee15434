"""What a checkout lacks is said, and never taken for data: Git LFS pointers, submodules. And DVC_CONFIG of the secret, used for real."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from data_servers import PASSWORD
from mlgate import stages
from mlgate.console import Console
from mlgate.data import cache
from mlgate.data.pull import Options, fetch
from mlgate.errors import InputError, MlgateError
from mlgate.stages.job import secret_env
from mlgate.stages.revisions.changes import changes
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

from .conftest import ALL, FILES, Checkout

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in (aiohttp 4.0|v4):DeprecationWarning"),  # as DVC calls aiohttp
]
CSV = "x,y\n1,0\n"
CONFIG = MINIMAL_CONFIG + "data: {contracts: [{data: data/train.csv, schema: contracts/train.yaml}]}\n"
SCHEMA = "columns:\n  x: {dtype: int64}\n  y: {dtype: int64}\n"


def pointer(content: str) -> str:
    """What `git lfs` commits instead of a file."""
    oid = hashlib.sha256(content.encode()).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


def lfs_repository(root: Path, data: str) -> Path:
    attributes = "*.csv filter=lfs diff=lfs merge=lfs -text\n"
    files = {"mlgate.yaml": CONFIG, ".gitattributes": attributes, "data/train.csv": data, "contracts/train.yaml": SCHEMA}
    return make_repository(root, files)


def run(root: Path, stage: str) -> tuple[int, str]:
    evidence = stages.run(stage, Workspace.open(root, "mlgate.yaml", {}, Console(io.StringIO())))
    return evidence.exit_code, evidence.summary


@pytest.mark.parametrize("stage", ["pull-data", "validate-data"])
def test_a_git_lfs_pointer_is_never_taken_for_the_data(tmp_path: Path, stage: str) -> None:
    root = lfs_repository(tmp_path, pointer(CSV))
    code, said = run(root, stage)
    assert code == 2
    assert said.startswith("data/train.csv: a Git LFS pointer, not the data (sha256:")
    assert said.endswith("…): actions/checkout with `lfs: true`, or 'git lfs pull'")


def test_predictions_in_git_lfs_are_not_read_as_a_table(tmp_path: Path) -> None:
    root = lfs_repository(tmp_path, CSV)
    commit_files(root, {"eval/predictions.csv": pointer("id,y,y_pred\n1,0,0\n")}, "predictions")
    code, said = run(root, "evaluate")
    assert code == 2
    assert said.startswith("eval/predictions.csv: a Git LFS pointer, not the data")


def test_pointers_inside_a_folder_are_found_and_small_files_pass(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"images/a.txt": "1", "images/sub/b.txt": "version https://git-lfs.github.com/spec/v1 is nice\n"})
    fetch(root, ["images"])
    commit_files(root, {"images/sub/c.bin": pointer("x")}, "lfs")
    with pytest.raises(InputError, match=r"^images/sub/c\.bin: a Git LFS pointer"):
        fetch(root, ["images"])


def test_a_change_of_data_in_git_lfs_is_shown_by_what_the_pointers_stand_for(tmp_path: Path) -> None:
    root = lfs_repository(tmp_path, pointer(CSV))
    base = git(root, "rev-parse", "HEAD")
    commit_files(root, {"data/train.csv": pointer(CSV * 2)}, "more data")
    (change,) = changes(Workspace.open(root, "mlgate.yaml", {}), base)
    assert (change.kind, change.name) == ("data", "data/train.csv")
    assert (change.old, change.new) == tuple(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for text in (CSV, CSV * 2))


def test_data_in_a_submodule_that_was_not_checked_out_is_refused(tmp_path: Path) -> None:
    make_repository(tmp_path / "data", {"train.csv": CSV})
    make_repository(tmp_path / "r", {"mlgate.yaml": CONFIG, "contracts/train.yaml": SCHEMA})
    git(tmp_path / "r", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "data"), "data")
    commit_files(tmp_path / "r", {}, "submodule")
    assert run(tmp_path / "r", "pull-data")[0] == 0
    git(tmp_path, "clone", "--quiet", str(tmp_path / "r"), "clone")
    code, said = run(tmp_path / "clone", "pull-data")
    assert code == 2
    assert said == (
        "data/train.csv: in the submodule 'data', which is not checked out: actions/checkout with `submodules: true`, "
        "or 'git submodule update --init'"
    )


SSH_SECRET = """\
DVC_CONFIG<<END
['remote "storage"']
    keyfile = $DEPLOY_KEY
END
DEPLOY_KEY<<END
{key}END
"""
HTTP_SECRET = """\
DVC_CONFIG<<END
['remote "storage"']
    auth = basic
    password = $WEB_PASSWORD
END
WEB_PASSWORD={password}
"""


@pytest.mark.parametrize("remote", ["ssh", "http"], indirect=True)
def test_credentials_in_the_secret_reach_dvc_and_nothing_else(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job does: `setup` exports the secret's variables, the stages after it find them in their environment."""
    sftp = checkout.remote.sftp
    secret = SSH_SECRET.format(key=sftp.keyfile.read_text()) if sftp else HTTP_SECRET.format(password=PASSWORD)
    checkout.configure(checkout.remote.config)
    with pytest.raises(MlgateError, match="refuses access"):
        fetch(checkout.root, ALL, Options(attempts=1))
    variables = secret_env.parse(secret)
    masked = "\n".join(secret_env.masks(variables))
    assert (PASSWORD in masked) is (sftp is None)
    assert "remote" not in masked  # lines of the configuration would black out the log
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path / "temp"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    (tmp_path / "temp").mkdir()
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "config").write_text("[core]\n    checksum_jobs = 1\n")
    cache.share(os.environ)
    cache.share(os.environ)  # by the next stage of the same process
    (folder,) = (tmp_path / "temp").iterdir()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "checksum_jobs = 1" in (folder / "config").read_text()  # what the machine's user has set stays
    fetch(checkout.root, ALL)
    assert checkout.data() == FILES
    assert PASSWORD not in "".join(path.read_text() for path in checkout.root.rglob("config*"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("['remote \"x\"']\npassword\n", "DVC_CONFIG: line 2: expected ['remote \"name\"'], then lines of option = value"),
        ("['remote \"x\"']\npassword = $NOWHERE\n", "DVC_CONFIG: password: no variable 'NOWHERE' in the secret MLGATE_ENV"),
        ("password = hunter2\n", "DVC_CONFIG: expected sections ['remote \"name\"'], found something else"),
    ],
)
def test_a_wrong_configuration_in_the_secret_is_one_line_without_its_text(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        cache.share({"DVC_CONFIG": text})
    assert str(error.value) == said


def test_a_google_key_given_by_its_text_becomes_a_file(tmp_path: Path) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": '{"type": "service_account"}', "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(tmp_path)}
    cache.share(environ)
    assert Path(environ["GOOGLE_APPLICATION_CREDENTIALS"]).read_text() == '{"type": "service_account"}\n'
    before = dict(environ)
    cache.share(environ)
    assert environ == before
