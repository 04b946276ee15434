"""Tables in an object store, read from a server that checks signatures and rights as S3 does."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_servers import BUCKET, S3, s3_server
from mlgate import stages
from mlgate.console import Console
from mlgate.data import identity
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import Evidence
from mlgate.tables.scan import collected, scan
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # s3fs leaves its connections to the garbage collector
TRAIN = f"s3://{BUCKET}/data/train.parquet"


def parquet(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


OBJECTS = {
    "data/train.parquet": parquet(x=[1.0, None, float("nan")], y=[0, 1, 1]),
    "data/train.csv": b"x,y\n1,0\n2,1\n",
    "data/odd [1] name.csv": b"x\n1\n",
    "data/train.jsonl": b'{"x": 1}\n{"x": 2}\n',
    "data/ragged.csv": b"x,y\n1,0\n2\n",
    "data/latin.csv": "x\nGrüße\n".encode("latin-1"),
    "data/truncated.parquet": parquet(x=list(range(1000)))[:-20],
    "data/empty.csv": b"",
    "data/no_rows.parquet": parquet(x=[]),
    "parts/day=1/0.parquet": parquet(x=[1, 2]),
    "parts/day=2/0.parquet": parquet(x=[3]),
    "parts/_SUCCESS": b"",
    "csvs/a.csv": b"x\n1\n",
    "csvs/deep/b.csv": b"x\n2\n",
    "mixed/a.csv": b"x\n1\n",
    "mixed/b.parquet": parquet(x=[1]),
    "foreign/a.parquet": parquet(x=[1]),
    "foreign/b.parquet": parquet(z=["?"]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as s3:
        for key, content in OBJECTS.items():
            s3.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        yield s3


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**server.environment(server.reader), "AWS_ENDPOINT_URL": server.endpoint}.items():
        monkeypatch.setenv(name, value)
    return server


def read(name: str) -> pl.DataFrame:
    table = scan(Path("/nowhere"), name)
    return collected(name, [table.frame])[0]


def test_parquet_streams_from_the_bucket(s3: S3) -> None:
    assert read(TRAIN).to_dict(as_series=False) == {"x": [1.0, None, None], "y": [0, 1, 1]}


def test_text_is_read_as_strictly_as_on_this_machine(s3: S3, tmp_path: Path) -> None:
    for name in ("data/train.csv", "data/odd [1] name.csv", "data/train.jsonl"):
        (tmp_path / Path(name).name).write_bytes(OBJECTS[name])
        assert read(f"s3://{BUCKET}/{name}").equals(scan(tmp_path, Path(name).name).frame.collect())


def test_a_partitioned_folder_has_its_partition_as_a_column(s3: S3) -> None:
    for name in ("parts", "parts/"):
        assert read(f"s3://{BUCKET}/{name}").sort("x").to_dict(as_series=False) == {"x": [1, 2, 3], "day": [1, 1, 2]}


def test_a_folder_of_text(s3: S3) -> None:
    assert sorted(read(f"s3://{BUCKET}/csvs")["x"].to_list()) == [1, 2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data/none.parquet", "no such object in the bucket 'models'"),
        ("data/none.csv", "no such object in the bucket 'models'"),
        ("none", "no tables are there; expected .csv"),
        ("mixed", "tables of several formats are there (.csv, .parquet); name a folder with one"),
        ("data/ragged.csv", "row 3 has 1 field"),
        ("data/latin.csv", "not UTF-8 text; save the file as UTF-8"),
        ("data/truncated.parquet", "cannot be read as a table: parquet: File out of specification"),
        ("data/empty.csv", "the file is empty"),
        ("data/no_rows.parquet", "the table has no rows; expected at least one"),
        ("data/*.parquet", "expected an object or a folder, not a pattern"),
        ("foreign", "cannot be read as a table: "),
    ],
)
def test_data_that_is_not_there_or_no_table(s3: S3, name: str, said: str) -> None:
    address = f"s3://{BUCKET}/{name}"
    with pytest.raises(InputError) as caught:
        read(address)
    assert str(caught.value).startswith(f"{address}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "name", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, TRAIN, "the credentials are refused (SignatureDoesNotMatch)"),
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, f"s3://{BUCKET}/parts", "the credentials are refused (InvalidAccessKeyId)"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SKIP_SIGNATURE": "true"}, TRAIN, "access denied"),
        ({}, "s3://nobucket/data/", "no such bucket 'nobucket'"),
        ({}, "s3://nobucket/x.parquet", "no such bucket 'nobucket'"),
    ],
)
def test_credentials_and_buckets_that_are_wrong(
    s3: S3, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], name: str, said: str
) -> None:
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(InputError) as caught:
        read(name)
    assert said in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


def test_a_store_that_is_down_is_worth_a_retry(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(InfrastructureError, match=r"the store at 127\.0\.0\.1:9 cannot be asked: .*; try again later$"):
        read(TRAIN)


# --- stages ----------------------------------------------------------------------------------------------------------


def run(root: Path, stage: str) -> Evidence[Any]:
    return stages.run(stage, Workspace.open(root, "mlgate.yaml", dict(os.environ), Console(io.StringIO())))


def project(root: Path, data: str) -> Path:
    config = MINIMAL_CONFIG.replace("python train.py", "python -c pass")
    return make_repository(root, {"mlgate.yaml": f"{config}data: {{contracts: [{{data: {data}, columns: {{y: {{in: [0, 1]}}}}}}]}}\n"})


def test_a_contract_of_data_in_a_bucket_and_train_refuses_another_version(s3: S3, server: S3, tmp_path: Path) -> None:
    name = f"s3://{BUCKET}/changing/train.parquet"
    server.client.put_object(Bucket=BUCKET, Key="changing/train.parquet", Body=OBJECTS["data/train.parquet"])
    root = project(tmp_path, name)
    assert run(root, "pull-data").summary == "no data to pull"
    evidence = run(root, "validate-data")
    assert (evidence.status, evidence.exit_code) == ("passed", 0)
    assert f"{name}: in an object store, so no commit pins it; its version was recorded, and 'train' refuses another" in evidence.summary
    (validated,) = evidence.findings.validated
    assert validated.hash.startswith("etag:")
    assert validated.size_bytes == len(OBJECTS["data/train.parquet"])
    assert identity.differing(root, [validated]) == []
    server.client.put_object(Bucket=BUCKET, Key="changing/train.parquet", Body=parquet(x=[1.0], y=[7]))
    trained = run(root, "train")
    assert trained.exit_code == 2
    assert f"data is not what was validated: {name} changed (etag:" in trained.summary
    broken = run(root, "validate-data")
    assert broken.exit_code == 1
    assert f"{name} breaks its contract: y not one of 0, 1 in 1 of 1 rows" in broken.summary
    server.client.delete_object(Bucket=BUCKET, Key="changing/train.parquet")
    gone = run(root, "validate-data")
    assert gone.exit_code == 2
    assert gone.summary == f"{name}: no such object in the bucket 'models'"


def test_data_that_is_overwritten_while_it_is_checked_is_not_taken_for_checked(s3: S3, server: S3, tmp_path: Path) -> None:
    name = f"s3://{BUCKET}/moving/train.csv"
    server.client.put_object(Bucket=BUCKET, Key="moving/train.csv", Body=b"y\n1\n")
    prepared = project(tmp_path, name)

    class Overwriting(Console):
        """Somebody who writes there as soon as the first progress is told."""

        def progress(self, label: str) -> Any:
            if label == f"validate-data: {name}":
                server.client.put_object(Bucket=BUCKET, Key="moving/train.csv", Body=b"y\n0\n")
            return super().progress(label)

    evidence = stages.run("validate-data", Workspace.open(prepared, "mlgate.yaml", dict(os.environ), Overwriting(io.StringIO())))
    assert evidence.exit_code == 2
    assert evidence.summary.startswith(f"{name} changed (etag:")
    assert evidence.summary.endswith("while it was checked; run 'mlgate validate-data' again")


def test_a_folder_in_a_bucket_has_the_identity_of_its_listing(s3: S3, server: S3) -> None:
    before = identity.identify(Path(), f"s3://{BUCKET}/csvs")
    assert before.hash.startswith("etags:")
    assert (before.files, before.tracked_by) == (2, "none")
    assert identity.differing(Path(), [before]) == []
    server.client.put_object(Bucket=BUCKET, Key="csvs/c.csv", Body=b"x\n3\n")
    try:
        (difference,) = identity.differing(Path(), [before])
        assert difference.now is not None
        assert difference.now.files == 3
    finally:
        server.client.delete_object(Bucket=BUCKET, Key="csvs/c.csv")


def test_a_schema_in_python_says_that_it_reads_local_files(s3: S3, tmp_path: Path) -> None:
    files = {"mlgate.yaml": f"{MINIMAL_CONFIG}data: {{contracts: [{{data: {TRAIN}, schema: 'schema.py:Train'}}]}}\n", "schema.py": ""}
    evidence = run(make_repository(tmp_path, files), "validate-data")
    assert evidence.exit_code == 2
    assert evidence.summary.startswith(f"{TRAIN}: a schema in Python is run by your interpreter, on files of this machine")


def test_drift_and_screens_read_there_too_and_the_base_is_not_made_up(s3: S3, server: S3, tmp_path: Path) -> None:
    rows = {"x": list(range(400)), "y": [0, 1] * 200}
    server.client.put_object(Bucket=BUCKET, Key="drift/before.parquet", Body=parquet(**rows))
    shifted = {**rows, "x": [value + 1000 for value in rows["x"]]}
    server.client.put_object(Bucket=BUCKET, Key="drift/now.parquet", Body=parquet(**shifted))
    now, before = (f"s3://{BUCKET}/drift/{name}.parquet" for name in ("now", "before"))
    drift = f"[{{data: {now}, against: {before}, level: fail}}, {{data: {now}, against: base}}]"
    settings = f"data: {{drift: {drift}, screens: [{{train: {now}, holdout: {before}, label: y}}]}}\n"
    root = make_repository(tmp_path, {"mlgate.yaml": MINIMAL_CONFIG + settings})
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"train.py": "pass"}, "a change")
    evidence = run(root, "validate-data")
    assert evidence.exit_code == 1, evidence.summary
    against_before, against_base = evidence.findings.drift
    assert against_before.verdict == "alert"
    assert against_base.verdict == "not compared"
    assert "an object store has no data of that commit" in against_base.note
    assert [one.path for one in evidence.findings.validated] == [now, before]
    assert all(one.hash.startswith("etag:") for one in evidence.findings.validated)
