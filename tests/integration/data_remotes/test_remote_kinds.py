"""Pulling from every kind of remote, against servers that really speak its protocol: what comes is verified, what does not is named."""

from __future__ import annotations

import io

import pytest

from data_servers import PASSWORD, S3
from mlgate import stages
from mlgate.console import Console
from mlgate.data.pull import Options, fetch
from mlgate.errors import MlgateError
from mlgate.workspace import Workspace

from .conftest import ALL, FILES, KINDS, Checkout, md5, object_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in (aiohttp 4.0|v4):DeprecationWarning"),  # as DVC calls aiohttp
]
every_kind = pytest.mark.parametrize("remote", KINDS, indirect=True)
a_file_on_every_kind = pytest.mark.parametrize(
    ("remote", "name"),
    [("s3", "data/images/1.txt"), ("http", "data/train.csv"), ("ssh", "data/images/1.txt"), ("folder", "data/train.csv")],
    indirect=["remote"],
)
QUICK = Options(wait_s=0.01, attempts=2)


def refused(checkout: Checkout, names: list[str] = ALL, options: Options = QUICK) -> MlgateError:
    """The error that pulling ends with: one line, without secrets."""
    with pytest.raises(MlgateError) as error:
        fetch(checkout.root, names, options)
    assert "\n" not in str(error.value)
    assert_no_secret(str(error.value), checkout)
    return error.value


def assert_no_secret(text: str, checkout: Checkout) -> None:
    for secret in (PASSWORD, checkout.remote.environment.get("AWS_SECRET_ACCESS_KEY", PASSWORD), "BEGIN OPENSSH"):
        assert secret not in text


@every_kind
def test_everything_comes_and_no_credential_is_in_the_evidence(checkout: Checkout, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout.root / "mlgate.yaml").open("a").write(f"data: {{pull: [{', '.join(ALL)}]}}\n")
    said = io.StringIO()
    workspace = Workspace.open(checkout.root, "mlgate.yaml", {}, Console(said))
    evidence = stages.run("pull-data", workspace)
    assert (evidence.status, checkout.data()) == ("passed", FILES)
    assert evidence.findings.remote_url == checkout.remote.shown.split("(")[1].rstrip(")")
    printed = capfd.readouterr()
    assert_no_secret(workspace.evidence_path("pull-data").read_text() + said.getvalue() + printed.out + printed.err, checkout)


@a_file_on_every_kind
def test_a_missing_object_is_named_with_the_command_that_pushes_it(checkout: Checkout, name: str) -> None:
    checkout.remote.remove(object_of(name))
    error = refused(checkout)
    assert error.exit_code == 3
    target = "data/train.csv" if name == "data/train.csv" else "data/images"
    assert str(error) == (
        f"{name}: missing on {checkout.remote.shown}: no object {object_of(name)}; run 'dvc push {target}' where the data is"
    )


@a_file_on_every_kind
def test_a_corrupted_object_is_named_and_never_left_in_the_workspace(checkout: Checkout, name: str) -> None:
    checkout.remote.put(object_of(name), b"garbage")
    error = refused(checkout)
    assert error.exit_code == 3
    expected = f"{name}: corrupted on {checkout.remote.shown}: 7 bytes with MD5 c8e8df895c2cae166bad027fdf15335b instead of {md5(name)}"
    assert str(error).startswith(expected)
    assert name not in checkout.data()
    checkout.remote.put(object_of(name), FILES[name].encode())
    fetch(checkout.root, ALL, QUICK)  # once the remote is right, a rerun is all it takes
    assert checkout.data() == FILES


@every_kind
def test_a_corrupted_cache_is_told_from_a_missing_object_and_replaced(checkout: Checkout) -> None:
    fetch(checkout.root, ALL, QUICK)
    for name in ("data/train.csv", "data/images/1.txt"):
        cached = checkout.root / ".dvc/cache" / object_of(name)
        cached.chmod(0o644)
        cached.write_text("garbage")
        cached.chmod(0o444)
        (checkout.root / name).unlink()
    (note,) = fetch(checkout.root, ALL, QUICK).notes
    assert note == "data/train.csv, data/images/1.txt: corrupted in DVC's cache or on the way there; removed and fetched again"
    assert checkout.data() == FILES


@every_kind
def test_a_remote_that_nothing_was_ever_pushed_to_is_named(checkout: Checkout) -> None:
    url = checkout.remote.shown.split("(")[1].rstrip(")").rpartition("@")[2].rpartition("://")[2]
    elsewhere = f"{url}/elsewhere" if checkout.remote.kind == "http" else url.replace(checkout.remote.folder.name, "elsewhere")
    checkout.configure(checkout.remote.config.replace(url, elsewhere), checkout.remote.local)
    error = refused(checkout)
    assert error.exit_code == 3
    if checkout.remote.kind == "http":  # a web server does not tell whether there is a folder
        assert "data/train.csv (and 1 more): missing on remote 'storage' (http://127.0.0.1" in str(error)
    else:
        assert str(error).startswith("data/train.csv, data/images: cannot be pulled, there is nothing at remote 'storage' (")
    assert "run 'dvc push data/train.csv data/images' where the data is" in str(error)


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
@pytest.mark.parametrize("key", ["wrong secret", "unknown key", "none"])
def test_s3_with_a_wrong_credential_says_which_variables_it_wants(
    checkout: Checkout, s3: S3, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    given = {"wrong secret": (s3.access_key_id, "wrong-secret-of-somebody"), "unknown key": ("AKIAUNKNOWN", "x"), "none": ("", "")}[key]
    for name, value in s3.environment(given).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    error = refused(checkout)
    assert error.exit_code == 3
    assert str(error).startswith(f"{checkout.remote.shown} refuses access: ")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the workflow's secret MLGATE_ENV" in str(error)
    assert "wrong-secret-of-somebody" not in str(error)


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_s3_is_read_by_who_may_only_read(checkout: Checkout, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    fetch(checkout.root, ALL, QUICK)
    assert checkout.data() == FILES


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_an_s3_bucket_that_does_not_exist_is_named(checkout: Checkout) -> None:
    checkout.configure(checkout.remote.config.replace("s3://models/", "s3://nosuch/"))
    error = refused(checkout)
    assert error.exit_code == 3
    assert "there is nothing at remote 'storage' (s3://nosuch/" in str(error)


@pytest.mark.parametrize("remote", ["http", "ssh"], indirect=True)
@pytest.mark.parametrize("password", ["wrong", "none"])
def test_a_wrong_or_missing_password_says_where_to_put_the_right_one(
    checkout: Checkout, password: str, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = f"['remote \"storage\"']\n    password = {PASSWORD}x\n"
    checkout.configure(checkout.remote.config, wrong if password == "wrong" else "")
    error = refused(checkout)
    assert error.exit_code == 3
    assert str(error).startswith(f"{checkout.remote.shown} refuses access: ")
    assert "as DVC_CONFIG in the workflow's secret MLGATE_ENV" in str(error)
    assert capfd.readouterr() == ("", "")  # no client asks for a password in a log


@pytest.mark.parametrize("remote", ["ssh"], indirect=True)
def test_ssh_with_a_key_needs_no_password(checkout: Checkout) -> None:
    assert checkout.remote.sftp is not None
    checkout.configure(checkout.remote.config, f"['remote \"storage\"']\n    keyfile = {checkout.remote.sftp.keyfile}\n")
    fetch(checkout.root, ALL, QUICK)
    assert checkout.data() == FILES


@pytest.mark.parametrize("remote", ["http", "ssh"], indirect=True)
@pytest.mark.parametrize("host", ["nosuch.invalid", "127.0.0.1:9"])
def test_a_host_that_does_not_answer_is_named_after_some_attempts(checkout: Checkout, host: str) -> None:
    server = checkout.remote.web or checkout.remote.sftp
    assert server is not None
    here = f"127.0.0.1:{server.port}"
    checkout.configure(checkout.remote.config.replace(here, host), checkout.remote.local)
    error = refused(checkout, ["data/train.csv"], Options(wait_s=0.01, attempts=1))
    assert error.exit_code == 3
    assert "does not answer, asked 1 time: " in str(error)
