"""A runner that reaches nothing but a proxy, which asks for a password, and servers with certificates of the company's own authority.

The authority is named in the variable that the program at hand does not read by itself.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_server import git_server
from github_stand_in import StandIn
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels
from integration.places.company_network import Network, company_network, folder_server
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn("o/r", prefix="/api/v3") as stand_in:
        yield stand_in
        assert stand_in.violations == []


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """What data.example shows."""
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def network(tmp_path: Path, served: Path, github: StandIn) -> Iterator[Network]:
    port_of_github = int(github.url.split(":")[2].partition("/")[0])
    with folder_server(served) as data, company_network(tmp_path, {"github.example": port_of_github, "data.example": data}) as found:
        yield found


def test_the_report_reaches_an_enterprise_server(tmp_path: Path, network: Network, github: StandIn) -> None:
    root = make_repository(tmp_path / "repository", {"mlgate.yaml": CONFIG})
    head = git(root, "rev-parse", "HEAD")
    github.add_pull_request(7, head_sha=head)
    pull_request = {"number": 7, "head": {"sha": head, "repo": {"full_name": "o/r"}}, "base": {"sha": head, "ref": "main"}}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": pull_request, "repository": {"default_branch": "main"}}))
    given = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_RUN_ID": "5",
        "GITHUB_API_URL": "https://github.example/api/v3",
        "GITHUB_SERVER_URL": "https://github.example",
        "MLGATE_GITHUB_TOKEN": github.token,
        "MLGATE_STORE_URL": str(tmp_path / "store.git"),
    }
    git(tmp_path, "init", "--quiet", "--bare", "store.git")
    workspace = Workspace.open(root, "mlgate.yaml", given)
    evaluated(workspace, classified(*labels(900)))
    finished = mlgate(root, network.environment("SSL_CERT_FILE", **given), "run", "gate", "report")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    [comment] = github.comments(7, "github-actions[bot]")
    assert f"https://github.example/o/r/commit/{head}" in comment.body or "https://github.example/o/r" in comment.body
    assert github.statuses(head)[-1].state == "success"
    assert set(network.seen) == {"CONNECT github.example:443"}


def test_a_certificate_that_nobody_vouches_for_is_named_and_no_password_shown(tmp_path: Path, network: Network, github: StandIn) -> None:
    environ = network.environment("SSL_CERT_FILE", SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
    code = (
        "from mlgate.forge.client import Forge; from mlgate.context import RunContext; from mlgate.errors import MlgateError\n"
        f"context = RunContext(repository='o/r', api_url='https://github.example/api/v3', token={github.token!r})\n"
        "try: Forge(context).pull_request_head(1)\n"
        "except MlgateError as error: print(error)\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)

    assert "the certificate of github.example is not trusted" in finished.stdout
    assert network.password not in finished.stdout + finished.stderr


def test_dvc_pulls_through_it(tmp_path: Path, network: Network, served: Path) -> None:
    content = "x\n1\n"
    md5 = hashlib.md5(content.encode()).hexdigest()
    files = {
        "mlgate.yaml": CONFIG + "data: {pull: [data.csv]}\n",
        "data.csv.dvc": f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: data.csv\n",
        ".dvc/config": "[core]\n    remote = away\n['remote \"away\"']\n    url = https://data.example\n",
    }
    root = make_repository(tmp_path / "repository", files)
    (served / "files/md5" / md5[:2]).mkdir(parents=True)
    (served / "files/md5" / md5[:2] / md5[2:]).write_text(content)
    finished = mlgate(root, network.environment("REQUESTS_CA_BUNDLE"), "pull-data")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (root / "data.csv").read_text() == content
    assert set(network.seen) == {"CONNECT data.example:443"}


def test_git_fetches_the_history_that_is_missing_through_it(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"a/mlgate.yaml": CONFIG, "b/mlgate.yaml": CONFIG.replace("digits", "b")})
    commit_files(source, {"a/train.py": "1"}, "second")
    (tmp_path / "www/o").mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "www/o/r")
    with git_server(tmp_path / "www") as host, company_network(tmp_path, {"github.example": host.server_port}) as network:
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tmp_path}/www/o/r", "shallow")
        git(tmp_path / "shallow", "remote", "set-url", "origin", "https://github.example/o/r")
        finished = mlgate(tmp_path / "shallow", network.environment("SSL_CERT_FILE"), "changed")

    assert finished.returncode == 0, finished.stderr
    assert "→ digits (a/mlgate.yaml): a/train.py" in finished.stdout
    assert "– b (b/mlgate.yaml): untouched" in finished.stdout
    assert set(network.seen) == {"CONNECT github.example:443"}


def test_mlgate_is_installed_through_it(tmp_path: Path) -> None:
    simple = tmp_path / "www/simple/nothing"
    simple.mkdir(parents=True)
    wheel = "nothing-1-py3-none-any.whl"
    with zipfile.ZipFile(simple / wheel, "w") as archive:
        archive.writestr("nothing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
        archive.writestr("nothing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("nothing-1.dist-info/RECORD", "")
    (simple / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = f"""
import sys; sys.path.insert(0, {str(ROOT / "scripts")!r}); import bootstrap
command = [{str(tmp_path / "venv/bin/python")!r}, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
bootstrap._run("pip", [*command, "--index-url", "https://packages.example/simple", "--dest", {str(tmp_path / "got")!r}, "nothing"], {{}})
"""
    with folder_server(tmp_path / "www") as port, company_network(tmp_path, {"packages.example": port}) as network:
        environ = network.environment("SSL_CERT_FILE")
        finished = subprocess.run([sys.executable, "-c", install], env=environ, capture_output=True, text=True, check=False)

    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "got" / wheel).is_file()
    assert set(network.seen) == {"CONNECT packages.example:443"}


def test_what_was_added_for_us_is_not_in_the_users_environment(tmp_path: Path, network: Network) -> None:
    show = f"{sys.executable} -c \"import os; print(sorted(n for n in os.environ if 'CA' in n or 'CERT' in n))\""
    root = make_repository(tmp_path / "repository", {"mlgate.yaml": CONFIG + f"checks: ['{show.replace(chr(39), chr(39) * 2)}']\n"})
    finished = mlgate(root, network.environment("SSL_CERT_FILE"), "check")

    assert finished.returncode == 0, finished.stderr
    assert "'SSL_CERT_FILE'" in finished.stdout
    assert not [name for name in ("REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "ADDED_CERTIFICATES") if name in finished.stdout]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_that_is_not_there_is_a_mistake(tmp_path: Path, name: str) -> None:
    root = make_repository(tmp_path / "repository", {"mlgate.yaml": CONFIG})
    finished = mlgate(root, Network("http://127.0.0.1:9", tmp_path / "gone.pem").environment(name), "setup")

    assert (finished.returncode, finished.stderr) == (
        2,
        f"✗ {name}: no file '{tmp_path}/gone.pem'; expected certificates of your authority, as PEM\n",
    )


def mlgate(root: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlgate.cli", *arguments]
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)
