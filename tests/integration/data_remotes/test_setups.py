"""DVC beyond `dvc add` and `dvc push`: imports, odd pipelines, repositories inside repositories, versions in a cloud."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from data_servers import BUCKET, S3
from mlgate.data.pull import Options, Pulled, fetch
from mlgate.errors import MlgateError
from support import commit_files, git, make_repository

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie warns of what DVC uses of it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases and connections to the garbage collector
    pytest.mark.usefixtures("machine"),
]
QUICK = Options(wait_s=0.01, attempts=2)


def new(root: Path, config: str | None = None, files: dict[str, str] | None = None) -> Path:
    """A DVC repository; its remote is a folder beside it, or what `config` says."""
    make_repository(root, files if files is not None else {"notes.txt": "1"})
    Repo.init(str(root)).close()
    text = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {root.parent / (root.name + '-remote')}\n"
    (root / ".dvc" / "config").write_text(text if config is None else config)
    return root


def add(root: Path, files: dict[str, str], *, is_pushed: bool = True, targets: list[str] | None = None) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with Repo(str(root)) as repo:
        repo.add([str(root / name) for name in targets or files])
        if is_pushed:
            repo.push()


def clone(root: Path, to: str = "clone") -> Path:
    """A fresh checkout of everything as it is now."""
    commit_files(root, {}, "all")
    target = root.parent / to
    git(root.parent, "clone", "--quiet", str(root), str(target))
    return target


def brought(pulled: Pulled) -> dict[str, int]:
    """Files that came from afar, by target."""
    return {target.data.path: target.files_from_remote for target in pulled.findings.targets}


def refused(root: Path, names: list[str]) -> tuple[int, str]:
    with pytest.raises(MlgateError) as error:
        fetch(root, names, QUICK)
    assert "\n" not in str(error.value)
    return error.value.exit_code, str(error.value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository that others import from."""
    root = new(tmp_path / "source")
    add(root, {"data/t.csv": "a\n1\n", "folder/x": "x", "folder/y": "y"}, targets=["data/t.csv", "folder"])
    commit_files(root, {"in-git.csv": "g\n1\n"}, "data")
    return root


@pytest.fixture
def importing(source: Path, tmp_path: Path) -> Path:
    root = new(tmp_path / "importing")
    with Repo(str(root)) as repo:
        for name in ("data/t.csv", "folder", "in-git.csv"):
            repo.imp(str(source), name, out=str(root / Path(name).name))
        repo.push()  # leaves out what was imported
    return root


def test_imports_from_another_repository_come_from_there(importing: Path, source: Path) -> None:
    here = clone(importing)
    pulled = fetch(here, ["t.csv", "folder", "in-git.csv"], QUICK)
    assert brought(pulled) == {"t.csv": 1, "folder": 2, "in-git.csv": 1}
    assert (here / "t.csv").read_text() == "a\n1\n"
    assert pulled.findings.remote is None
    revision = git(source, "rev-parse", "HEAD")[:12]
    assert next(target.source for target in pulled.findings.targets) == f"data/t.csv of {source} at {revision}"
    shutil.rmtree(here / "folder")
    shutil.rmtree(source)
    assert brought(fetch(here, ["folder"], QUICK)) == {"folder": 0}  # the cache has it


def test_an_import_whose_source_lost_its_data_is_named(importing: Path, source: Path) -> None:
    shutil.rmtree(source.parent / "source-remote")
    code, said = refused(clone(importing), ["t.csv"])
    assert code == 3
    assert said.startswith(f"t.csv: imported from data/t.csv of {source} at ")
    assert ", and missing there: " in said


def test_an_import_whose_source_is_gone_is_named(importing: Path, source: Path) -> None:
    source.rename(source.parent / "away")
    code, said = refused(clone(importing), ["t.csv"])
    assert code == 3
    assert said.startswith(f"t.csv is imported: data/t.csv of {source} at ")
    assert "No git repository was found" in said


def test_an_import_that_is_corrupted_at_its_source_never_stays(importing: Path, source: Path) -> None:
    for path in (source.parent / "source-remote").rglob("*"):
        if path.is_file() and path.read_text() == "a\n1\n":
            path.chmod(0o644)
            path.write_text("b\n1\n")
            path.chmod(0o444)
    here = clone(importing)
    code, said = refused(here, ["t.csv"])
    assert code == 3
    assert "where its content is not the one that was imported (MD5 34ff2335cbe2045ddc3b78993d1e971d)" in said
    assert "dvc update t.csv.dvc" in said
    assert not (here / "t.csv").exists()


def test_imports_from_addresses_are_pushed_and_pulled_like_ones_own(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("a\n1\n")
    root = new(tmp_path / "r")
    with Repo(str(root)) as repo:
        repo.imp_url(str(tmp_path / "e.csv"), out=str(root / "e.csv"))
        repo.imp_url(str(tmp_path / "e.csv"), out=str(root / "n.csv"), no_download=True)
    here = clone(root)
    code, said = refused(here, ["e.csv"])
    assert code == 3
    assert "if nothing was ever pushed there, run 'dvc push e.csv' where the data is" in said
    with Repo(str(root)) as repo:
        repo.push([str(root / "e.csv")])
    (tmp_path / "e.csv").unlink()
    assert brought(fetch(here, ["e.csv"], QUICK)) == {"e.csv": 1}
    code, said = refused(here, ["n.csv"])
    assert code == 2
    assert said.startswith("n.csv: was imported without its data (--no-download), so there is no hash to verify it by; ")
    assert said.endswith("run 'dvc update n.csv.dvc', commit n.csv.dvc, and 'dvc push'")


PIPELINE = """\
vars: [{suffix: csv}]
stages:
  each:
    foreach: ${models}
    do: {cmd: "mkdir -p ${out} && echo ${item} > ${out}/${item}.${suffix}", deps: [raw.csv], outs: ["${out}/${item}.${suffix}"]}
  grid:
    matrix: {k: [x, y], n: [1]}
    cmd: echo ${item.k} > grid-${item.k}-${item.n}
    deps: [raw.csv]
    outs: ["grid-${item.k}-${item.n}"]
  elsewhere: {wdir: sub, cmd: cp ../raw.csv w.csv, deps: [../raw.csv], outs: [w.csv]}
  in-git: {cmd: cp raw.csv un.csv, deps: [raw.csv], outs: [un.csv: {cache: false}]}
  persistent: {cmd: echo pe > pe.csv, deps: [raw.csv], outs: [pe.csv: {persist: true}]}
  private: {cmd: echo np > np.csv, deps: [raw.csv], outs: [np.csv: {push: false}]}
  frozen: {cmd: echo fr > fr.csv, deps: [raw.csv], outs: [fr.csv]}
  external: {cmd: cp OUTSIDE/in.csv ext.csv, deps: [OUTSIDE/in.csv], outs: [ext.csv]}
  outside: {cmd: cp raw.csv OUTSIDE/out.csv, deps: [raw.csv], outs: [OUTSIDE/out.csv: {cache: false}]}
"""


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory, machine: None) -> Path:
    """A checkout of a repository with every kind of stage, all of which ran and were pushed."""
    folder = tmp_path_factory.mktemp("pipelines")
    (folder / "outside").mkdir()
    (folder / "outside" / "in.csv").write_text("in")
    other = "stages:\n  o: {cmd: echo o > o.csv, deps: [../raw.csv], outs: [o.csv]}\n"
    files = {
        "dvc.yaml": PIPELINE.replace("OUTSIDE", str(folder / "outside")),
        "params.yaml": "models: [a, b]\nout: results\n",
        "sub/.keep": "",
        "other/dvc.yaml": other,
    }
    root = new(folder / "r", files=files)
    add(root, {"raw.csv": "r"})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with Repo(str(root)) as repo:
            repo.reproduce(all_pipelines=True)
            repo.freeze("frozen")
            repo.push()
    return clone(root)


@pytest.fixture
def piped(pipelines: Path, tmp_path: Path) -> Path:
    shutil.copytree(pipelines.parent, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "clone"


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("each", ["results/a.csv", "results/b.csv"]),
        ("each@a", ["results/a.csv"]),
        ("results", ["results/a.csv", "results/b.csv"]),
        ("results/b.csv", ["results/b.csv"]),
        ("grid", ["grid-x-1", "grid-y-1"]),
        ("dvc.yaml:grid@y-1", ["grid-y-1"]),
        ("elsewhere", ["sub/w.csv"]),
        ("pe.csv", ["pe.csv"]),
        ("frozen", ["fr.csv"]),
        ("other/dvc.yaml:o", ["other/o.csv"]),
        ("other", ["other/o.csv"]),
        ("ext.csv", ["ext.csv"]),
    ],
)
def test_a_stage_of_any_kind_is_pulled_by_its_name_or_its_outputs(piped: Path, name: str, targets: list[str]) -> None:
    pulled = fetch(piped, [name], QUICK)
    assert brought(pulled) == dict.fromkeys(targets, 1)
    assert all((piped / path).is_file() for path in targets)
    assert pulled.notes == []


def test_the_source_of_all_of_them_is_found(piped: Path) -> None:
    assert brought(fetch(piped, [], Options(with_sources=True))) == {"raw.csv": 1}
    assert brought(fetch(piped / "other", [], Options(with_sources=True))) == {"../raw.csv": 0}
    assert brought(fetch(piped / "other", ["o"], QUICK)) == {"o.csv": 1}


def test_outputs_that_dvc_never_keeps_are_refused(piped: Path) -> None:
    (piped / "un.csv").unlink()
    assert refused(piped, ["un.csv"]) == (
        2,
        "un.csv: stage 'in-git' writes 'un.csv' with 'cache: false', so DVC keeps no copy, and it is not in Git; commit it",
    )
    code, said = refused(piped, ["np.csv"])
    assert code == 2
    assert said.startswith("np.csv: stage 'private' has 'push: false' for it, so no other machine can have it")


def test_an_output_outside_of_the_repository_is_refused(piped: Path) -> None:
    path = next(line for line in (piped / "dvc.lock").read_text().splitlines() if line.endswith("outside/out.csv")).split()[-1]
    code, said = refused(piped, ["outside"])
    assert code == 2
    assert said == f"outside: stage 'outside' writes '{path}', which lies outside of the repository: DVC keeps no copy of it"


def test_a_dvc_repository_in_a_folder_of_a_git_repository(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "mono", {"readme.md": "1"})
    (root / "m1").mkdir()
    Repo.init(str(root / "m1"), subdir=True).close()
    (root / "m1" / ".dvc" / "config").write_text(f"[core]\n    remote = s\n['remote \"s\"']\n    url = {tmp_path / 'remote'}\n")
    add(root / "m1", {"m1.csv": "1"})
    here = clone(root)
    (here / "m1" / "deep").mkdir()
    assert brought(fetch(here / "m1", ["m1.csv"], QUICK)) == {"m1.csv": 1}
    assert brought(fetch(here / "m1" / "deep", ["../m1.csv"], QUICK)) == {"../m1.csv": 0}
    (here / "m1" / "m1.csv").unlink()
    assert refused(here, ["m1/m1.csv"]) == (
        2,
        "no data 'm1/m1.csv' here: 'm1' is a DVC repository of its own; set working-directory to it, or below it",
    )


def test_without_git_at_all(tmp_path: Path) -> None:
    Repo.init(str(tmp_path), no_scm=True).close()
    config = tmp_path / ".dvc" / "config"
    config.write_text(f"{config.read_text()}    remote = s\n['remote \"s\"']\n    url = {tmp_path.parent / 'no-scm-remote'}\n")
    add(tmp_path, {"t.csv": "1"})
    (tmp_path / "t.csv").unlink()
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    assert brought(fetch(tmp_path, ["t.csv"], QUICK)) == {"t.csv": 1}


def test_remotes_in_remotes_of_local_configuration_and_of_an_output(tmp_path: Path) -> None:
    config = f"['remote \"base\"']\n    url = {tmp_path / 'base'}\n['remote \"other\"']\n    url = {tmp_path / 'other'}\n"
    root = new(tmp_path / "r", config)
    (root / ".dvc" / "config.local").write_text("[core]\n    remote = storage\n['remote \"storage\"']\n    url = remote://base/deep\n")
    add(root, {"a.csv": "a", "b.csv": "b"}, is_pushed=False)
    (root / "b.csv.dvc").write_text((root / "b.csv.dvc").read_text() + "  remote: other\n")
    with Repo(str(root)) as repo:
        repo.push()
    assert (tmp_path / "base" / "deep" / "files").is_dir()
    here = clone(root)
    assert refused(here, ["a.csv"])[0] == 2  # the default remote is nobody else's
    shutil.copy(root / ".dvc" / "config.local", here / ".dvc")
    assert brought(fetch(here, ["a.csv", "b.csv"], QUICK)) == {"a.csv": 1, "b.csv": 1}
    shutil.rmtree(tmp_path / "other" / "files")
    shutil.rmtree(here / ".dvc" / "cache")
    (here / "b.csv").unlink()
    code, said = refused(here, ["b.csv"])
    assert code == 3
    assert f"b.csv: missing on remote 'other' ({tmp_path / 'other'})" in said
    assert "run 'dvc push -r other b.csv' where the data is" in said
    (here / "b.csv.dvc").write_text((here / "b.csv.dvc").read_text().replace("remote: other", "remote: othre"))
    assert refused(here, ["b.csv"]) == (2, "b.csv.dvc: remote of 'b.csv': no DVC remote 'othre'; did you mean 'other'?")


def test_odd_names_empty_files_and_ignored_ones(tmp_path: Path) -> None:
    root = new(tmp_path / "r")
    (root / ".dvcignore").write_text("*.log\n")
    add(root, {"dätä ü/x y'z.csv": "a", "dätä ü/b.log": "b", 'q"t.csv': "q", "empty.csv": ""}, targets=["dätä ü", 'q"t.csv', "empty.csv"])
    here = clone(root)
    assert brought(fetch(here, ["dätä ü", 'q"t.csv', "empty.csv"], QUICK)) == {"dätä ü": 1, 'q"t.csv': 1, "empty.csv": 1}
    shutil.rmtree(tmp_path / "r-remote" / "files")
    again = clone(root, "again")
    assert "run `dvc push 'dätä ü'` where the data is" in refused(again, ["dätä ü"])[1]


@pytest.mark.parametrize("scheme", ["gdrive", "oss", "webdavs", "hdfs"])
def test_a_remote_of_a_kind_that_is_not_reached_is_one_line(tmp_path: Path, scheme: str) -> None:
    root = new(tmp_path / "r", f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {scheme}://host/path\n")
    add(root, {"a.csv": "a"}, is_pushed=False)
    code, said = refused(clone(root), ["a.csv"])
    assert code == 2
    assert said.startswith(f"remote 'storage' ({scheme}://host/path): mlgate does not reach {scheme}:// remotes; expected a folder, s3, ")


def test_a_broken_pipeline_file_is_named_with_its_line(tmp_path: Path) -> None:
    root = new(tmp_path / "r", files={"dvc.yaml": "stages:\n  a: {cmd: x, outs: [m-{a}\n"})
    code, said = refused(root, ["a"])
    assert code == 2
    assert said.startswith("dvc.yaml: line 2, column 24: expected ")


class TestVersionsInACloud:
    """A remote that keeps versions instead of objects by hash (`version_aware`), and imports by version."""

    @pytest.fixture
    def root(self, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        s3.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        prefix = tmp_path.name
        more = f"    version_aware = true\n['remote \"raw\"']\n    url = s3://{BUCKET}/{prefix}-raw\n    endpointurl = {s3.endpoint}\n"
        root = new(tmp_path / "r", s3.config(prefix, more=more))
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}-raw/v.csv", Body=b"v")
        add(root, {"t.csv": "a\n1\n", "d/x": "x", "d/y": "y"}, targets=["t.csv", "d"])
        with Repo(str(root)) as repo:
            repo.imp_url("remote://raw/v.csv", out=str(root / "v.csv"))
        return root

    def test_data_comes_by_its_version_also_after_newer_ones(self, root: Path, s3: S3, tmp_path: Path) -> None:
        for key in (f"{tmp_path.name}/t.csv", f"{tmp_path.name}-raw/v.csv"):
            s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"newer")
        here = clone(root)
        assert brought(fetch(here, ["t.csv", "d", "v.csv"], QUICK)) == {"t.csv": 1, "d": 2, "v.csv": 1}
        assert [(here / name).read_text() for name in ("t.csv", "d/x", "v.csv")] == ["a\n1\n", "x", "v"]

    def test_a_version_that_is_gone_is_named(self, root: Path, s3: S3, tmp_path: Path) -> None:
        gone = []
        for key in (f"{tmp_path.name}/d/x", f"{tmp_path.name}-raw/v.csv"):
            (version,) = s3.client.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]
            s3.client.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])
            gone.append(version["VersionId"])
        here = clone(root)
        code, said = refused(here, ["d"])
        assert code == 3
        assert f"d/x: missing on remote 'storage' (s3://{BUCKET}/{tmp_path.name}): no object d/x of version {gone[0]}" in said
        code, said = refused(here, ["v.csv"])
        assert code == 3
        assert said.startswith(f"v.csv: imported from s3://{BUCKET}/{tmp_path.name}-raw/v.csv, and missing there: ")


def test_dvc_is_not_told_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = new(tmp_path / "r")
    add(root, {"models/a/t.csv": "1"})
    here = clone(root)
    monkeypatch.chdir(os.sep)
    assert brought(fetch(here / "models" / "a", ["t.csv"], QUICK)) == {"t.csv": 1}
