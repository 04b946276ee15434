"""A secret planted in every input is in no output, whether a run passes or whatever it needs refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from git_server import git_server
from github_stand_in import StandIn
from integration.places.company_network import folder_server
from integration.secrets.planted import BY_THE_USER, NUMBER, SECRETS, World, refusing
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError
from mlgate.store import open_store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """After a run on the default branch that passed, and the report of a pull request with the same model."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "served").mkdir()
    (folder / "www").mkdir()
    with StandIn() as github, folder_server(folder / "served") as dvc_port, git_server(folder / "www") as host:
        made = World.make(folder, github, dvc_port=dvc_port, git_port=host.server_port)
        made.environ = made.set_up(made.environment(git_port=host.server_port))
        passed = made.run(made.environ, "run")
        assert passed.returncode == 0, passed.stdout + passed.stderr
        made.by_the_user = "".join(line for line in passed.stdout.splitlines(keepends=True) if line.startswith(BY_THE_USER))
        reported = made.run({**made.environ, **made.of_pull_request()}, "report")
        assert reported.returncode == 0, reported.stdout + reported.stderr
        yield made
        assert github.violations == []


def test_of_a_run_that_passes(world: World) -> None:
    assert SECRETS["env"] in world.by_the_user
    assert world.github.comments(NUMBER)
    assert (world.folder / "arguments").exists()
    assert (world.folder / "processes").exists()
    assert (world.root / ".mlgate/digits/files/train/train.log").read_text().count("***") > 5
    assert world.leaks() == []


def test_the_users_commands_are_not_told_what_is_for_mlgate_alone(world: World) -> None:
    assert not [name for name in ("github", "notify") if SECRETS[name] in world.by_the_user]


def test_no_process_shows_a_training_what_is_for_mlgate_alone(world: World) -> None:
    seen = (world.folder / "environments").read_bytes()
    assert b"mlgate.registry.recorder" in seen
    assert b"mlgate.cli" in seen
    assert not [name for name in ("github", "notify") if SECRETS[name].encode() in seen]


def test_where_github_and_the_store_and_the_webhook_refuse(world: World) -> None:
    with refusing(401) as server:
        address = f"http://127.0.0.1:{server.port}"
        refused = {
            "GITHUB_API_URL": f"{address}/api/v3",
            "GITHUB_SERVER_URL": address,
            "MLGATE_NOTIFY_ENV": f"HOOK={address}/services/{SECRETS['notify']}",
        }
        done = world.run({**world.environ, **refused}, "run", "gate", "report")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "GitHub: " in done.stdout
    assert "slack webhook of HOOK not told: answered 401; is the secret right?" in done.stdout
    assert {path.split("/")[1] for path in server.asked} == {"api", "octo", "services"}
    assert world.leaks() == []


def test_where_the_remote_of_the_data_is_gone(world: World) -> None:
    (world.root / "data.csv").unlink()
    config = world.root / ".dvc/config"
    before = config.read_text()
    config.write_text(before.replace(before.split("127.0.0.1:")[1].split()[0], "9"))
    shutil.rmtree(world.root / ".dvc/cache")
    done = world.run(world.environ, "pull-data")
    config.write_text(before)
    assert done.returncode == 3, done.stdout + done.stderr
    assert world.leaks() == []


def test_where_the_store_alone_refuses(world: World) -> None:
    with refusing(401) as server:
        address = f"http://127.0.0.1:{server.port}"
        github = RunContext(repository="octo/models", event="push", run_id=5, server_url=address, token=SECRETS["github"])
        for context, url in ((github, None), (github, f"http://x-access-token:{SECRETS['origin']}@127.0.0.1:{server.port}/octo/models")):
            store = open_store(None, root=world.root, model="digits", context=context, environ={"MLGATE_STORE_URL": url} if url else {})
            with pytest.raises(InfrastructureError) as refused:
                store.write({"evaluations/x.json": b"{}"}, "x")
            world.said += str(refused.value)
    assert server.asked
    assert world.leaks() == []


@pytest.mark.parametrize("fine", [None, "experiments/search"], ids=["at once", "later"])
def test_where_mlflow_refuses(world: World, fine: str | None) -> None:
    with refusing(403, but=fine) as server:
        uri = f"http://ada:{SECRETS['tracking']}@127.0.0.1:{server.port}"
        environ = {name: value for name, value in world.environ.items() if not name.startswith("MLFLOW_")}
        done = world.run({**environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}, "train")
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "MLflow" in done.stdout
    assert server.asked
    assert world.leaks() == []
