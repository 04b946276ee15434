"""What Polars is told of an object store, and what a user is told of its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from mlgate.config import DataPlace
from mlgate.errors import InfrastructureError, InputError
from mlgate.tables import places

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-aws"}


@pytest.mark.parametrize(
    "place",
    [
        "data/train.csv",
        "s3://bucket/data/train.parquet",
        "s3://bucket/folder/",
        "gs://bucket/a b.csv",
        "az://container/x.parquet",
        "abfss://box@account.dfs.core.windows.net/x",
        "hdfs://host:9000/x",
    ],
)
def test_places_of_data(place: str) -> None:
    assert TypeAdapter(DataPlace).validate_python(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "../x.csv",
        "s3:/bucket/x.csv",
        "s3:bucket/x.csv",
        "s3://bucket",
        "s3://bucket/",
        "s3:///x.csv",
        "s3://key:secret@bucket/x.csv",
        "s3://user@bucket/x.csv",
        "s3://bucket/x.csv?sig=secret",
        "s3://bucket/../other/x.csv",
        "s3://bucket/x\n.csv",
        "https://host/x.csv",
        "file:///etc/passwd",
        "abfss://box:pass@account/x",
    ],
)
def test_places_that_are_none(place: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DataPlace).validate_python(place)


@pytest.mark.parametrize(
    ("name", "environ", "expected"),
    [
        ("s3://b/x", KEYS, {"aws_access_key_id": "AKIA", "aws_secret_access_key": "s3cr3t-of-aws", "aws_region": "us-east-1"}),
        (
            "s3://b/x",
            {**KEYS, "AWS_SESSION_TOKEN": "t", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://minio:9000", "HOME": "/x"},
            {
                "aws_access_key_id": "AKIA",
                "aws_secret_access_key": "s3cr3t-of-aws",
                "aws_session_token": "t",
                "aws_region": "eu-west-1",
                "aws_endpoint_url": "http://minio:9000",
                "aws_allow_http": "true",
            },
        ),
        ("s3://b/x", {"AWS_SKIP_SIGNATURE": "true"}, {"aws_skip_signature": "true", "aws_region": "us-east-1"}),
        (
            "s3://b/x",
            {"AWS_ENDPOINT_URL_S3": "https://one", "AWS_ENDPOINT_URL": "https://other"},
            {"aws_endpoint_url": "https://one", "aws_region": "us-east-1"},
        ),
        ("gs://b/x", {}, {}),
        (
            "gs://b/x",
            {"GOOGLE_APPLICATION_CREDENTIALS": '{"type": "service_account"}'},
            {"google_service_account_key": '{"type": "service_account"}'},
        ),
        (
            "az://b/x",
            {"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_KEY": "k"},
            {"azure_storage_account_name": "a", "azure_storage_account_key": "k"},
        ),
        (
            "abfs://b/x",
            {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=s"},
            {"azure_storage_account_name": "a", "azure_storage_sas_token": "sv=1&sig=s"},
        ),
        (
            "az://b/x",
            {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=k==;BlobEndpoint=http://127.0.0.1:10000/a;"},
            {
                "azure_storage_account_name": "a",
                "azure_storage_account_key": "k==",
                "azure_storage_endpoint": "http://127.0.0.1:10000/a",
                "azure_allow_http": "true",
            },
        ),
        (
            "az://b/x",
            {"AZURE_STORAGE_ACCOUNT": "a", "AZURE_CLIENT_ID": "i", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/f"},
            {
                "azure_storage_account_name": "a",
                "azure_client_id": "i",
                "azure_tenant_id": "t",
                "azure_federated_token_file": "/f",
            },
        ),
    ],
)
def test_the_environment_says_how_to_reach_a_store(name: str, environ: dict[str, str], expected: dict[str, str]) -> None:
    options = places.storage_options(name, environ)
    assert options.pop("max_retries") == 3
    assert options == expected


def test_a_google_key_in_a_file(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    for kind, option in (("service_account", "google_service_account"), ("authorized_user", "google_application_credentials")):
        key.write_text(json.dumps({"type": kind}))
        assert places.storage_options("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})[option] == str(key)
    key.write_text("no key")
    with pytest.raises(InputError, match="GOOGLE_APPLICATION_CREDENTIALS names a file that is no JSON with a key"):
        places.storage_options("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
    with pytest.raises(InputError, match="GOOGLE_APPLICATION_CREDENTIALS begins like the JSON of a key and is none"):
        places.storage_options("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": '{"type": "service_account"'})
    with pytest.raises(InputError, match="GOOGLE_APPLICATION_CREDENTIALS names a file that cannot be read"):
        places.storage_options("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json"})


@pytest.mark.parametrize(
    ("name", "environ", "said"),
    [
        ("s3://b/x", {"AWS_ACCESS_KEY_ID": "a"}, "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both"),
        ("s3://b/x", {"AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL: expected an address such as"),
        ("s3://b/x", {"AWS_ENDPOINT_URL": "http://user:secret@minio"}, "AWS_ENDPOINT_URL: expected an address such as"),
        ("az://b/x", {"AZURE_STORAGE_CONNECTION_STRING": "secret"}, "AZURE_STORAGE_CONNECTION_STRING: expected AccountName=…;AccountKey=…"),
        ("hdfs://b/x", {}, "hdfs:// needs `engine: spark`"),
    ],
)
def test_an_environment_that_cannot_be_right(name: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        places.storage_options(name, environ)
    assert said in str(caught.value)
    assert not any(value in str(caught.value) for value in environ.values() if "secret" in value)


@pytest.mark.parametrize(
    ("name", "error", "kind", "said"),
    [
        (
            "gs://b/x",
            OSError("Generic GCS error: GET http://169.254.169.254/computeMetadata refused"),
            InputError,
            "no credentials; set GOOGLE",
        ),
        ("az://b/x", OSError("Generic MicrosoftAzure error: Account must be specified"), InputError, "set AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://b/x", OSError("Invalid Access Key: Invalid symbol 32, offset 3."), InputError, "the credentials cannot be used"),
        ("gs://b/x", OSError('403 Forbidden: {"error": {"code": 403}}'), InputError, "access denied"),
        ("s3://b/x", OSError("status code: 400: <Code>ExpiredToken</Code>"), InputError, "refused (ExpiredToken); correct or renew"),
        ("s3://b/x", OSError("301: <Code>PermanentRedirect</Code>"), InputError, "lies in another region; set AWS_REGION"),
        (
            "s3://b/x",
            OSError("status code: 503 Service Unavailable: <Code>SlowDown</Code>"),
            InfrastructureError,
            "503 Service Unavailable (SlowDown)",
        ),
        (
            "s3://b/x",
            ConnectionError("x\nCaused by:\n    0: client error\n    1: timed out\n"),
            InfrastructureError,
            "timed out; try again",
        ),
        ("s3://b/x", FileNotFoundError("404: <Code>NoSuchKey</Code>"), InputError, "no such object in the bucket 'b'"),
        ("az://b/x", OSError("404: <Code>ContainerNotFound</Code>"), InputError, "no such container 'b'"),
        (
            "s3://b/x",
            ValueError("nonsense of s3cr3t-of-aws at https://h/x?X-Amz-Signature=abc"),
            InputError,
            "nonsense of *** at https://h/x",
        ),
    ],
)
def test_what_an_error_means(name: str, error: Exception, kind: type[Exception], said: str) -> None:
    found = places.explained(name, error, KEYS)
    assert type(found) is kind or isinstance(found, kind)
    assert str(found).startswith(f"{name}: ")
    assert said in str(found)
    assert "s3cr3t" not in str(found)
    assert "Signature=" not in str(found)
    assert "\n" not in str(found)
