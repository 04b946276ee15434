"""Data in object stores, s3://, gs:// and az://: what Polars needs to reach it, from the environment alone, and what its errors mean.

Nothing here connects to anything. No message holds a credential: of a store's own words only codes and causes are told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mlgate.errors import InfrastructureError, InputError, MlgateError

Store = Literal["s3", "gs", "az"]
_STORES: dict[str, Store] = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
_RETRIES = 3

# Variables that the stores' own tools read, by the option of object_store, Polars' client, that takes their value.
_S3 = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "aws_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "aws_endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "aws_skip_signature": ("AWS_SKIP_SIGNATURE",),
    "aws_request_payer": ("AWS_REQUEST_PAYER",),
}
_AZ = {
    "azure_storage_account_name": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"),
    "azure_storage_account_key": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"),
    "azure_storage_sas_token": ("AZURE_STORAGE_SAS_TOKEN",),
    "azure_storage_endpoint": ("AZURE_STORAGE_ENDPOINT",),
    "azure_client_id": ("AZURE_STORAGE_CLIENT_ID", "AZURE_CLIENT_ID"),
    "azure_client_secret": ("AZURE_STORAGE_CLIENT_SECRET", "AZURE_CLIENT_SECRET"),
    "azure_tenant_id": ("AZURE_STORAGE_TENANT_ID", "AZURE_TENANT_ID"),
    "azure_federated_token_file": ("AZURE_FEDERATED_TOKEN_FILE",),
}
_AZ_CONNECTION = {
    "AccountName": "azure_storage_account_name",
    "AccountKey": "azure_storage_account_key",
    "SharedAccessSignature": "azure_storage_sas_token",
    "BlobEndpoint": "azure_storage_endpoint",
}
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, too, where they are temporary)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}
_SECRET = re.compile(r".*(SECRET|TOKEN|KEY|PASSWORD|CONNECTION_STRING|CREDENTIALS)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>|\"(?:code|reason)\": ?\"?(\w{1,60})")
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z ]{1,40})?)")
_LAST_CAUSE = re.compile(r"^\s+\d+: (.{1,200})$", re.MULTILINE)
_NO_BUCKET = re.compile(
    r"NoSuchBucket|ContainerNotFound|InvalidBucketName|InvalidResourceName|bucket does not exist|container does not exist"
)
_REFUSED = re.compile(
    r"SignatureDoesNotMatch|InvalidAccessKeyId|ExpiredToken|InvalidToken|TokenRefreshRequired|AuthenticationFailed|invalid_grant|InvalidSecurity"
)
_UNUSABLE = re.compile(r"base64|decode |Invalid Access Key|pem file|credential error|private key", re.IGNORECASE)
_ANOTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_METADATA_SERVICE = re.compile(r"169\.254\.169\.254|metadata\.google\.internal|fd00:ec2::254")
_QUERY = re.compile(r"\?[^\s)\"'>]*")


class NothingThereError(InputError):
    """The address is right as far as anybody can tell, and empty."""


def store_of(name: str) -> Store:
    """Which kind of store holds data of that address.

    Raises:
        InputError: none that Polars reads.
    """
    scheme = name.partition("://")[0]
    if scheme not in _STORES:
        raise InputError(f"{name}: Polars reads s3://, gs:// and az://; {scheme}:// needs `engine: spark`")
    return _STORES[scheme]


def storage_options(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Options of Polars' readers for data at an address.

    Args:
        name: the address, `s3://bucket/path`.
        environ: holds the credentials, in the variables that the stores' own tools read.

    Raises:
        InputError: the store is unknown, or variables are there that cannot be used.
    """
    store = store_of(name)
    if store == "s3":
        options = _options(_S3, environ)
        if bool(options.get("aws_access_key_id")) != bool(options.get("aws_secret_access_key")):
            raise InputError(f"{name}: of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both")
        if not _is_endpoint(options.get("aws_endpoint_url", "https://aws")):
            raise InputError(f"{name}: AWS_ENDPOINT_URL: expected an address such as https://minio.example.org:9000")
        if options.get("aws_endpoint_url", "").startswith("http://"):
            options["aws_allow_http"] = "true"
        options.setdefault("aws_region", "us-east-1")
    elif store == "gs":
        options = _google(name, environ)
    else:
        options = _azure(name, environ)
    return {**options, "max_retries": _RETRIES}


def explained(name: str, error: Exception, environ: Mapping[str, str]) -> MlgateError:
    """What an error of Polars' about remote data means: exit 2 where a name or a credential is wrong, exit 3 where the store is.

    Args:
        name: address of the data.
        error: what Polars raised.
        environ: whose secrets no message may show.
    """
    text = str(error)
    if "expanded paths were empty" in text:
        return NothingThereError(f"{name}: nothing is there; expected an object, or objects below it")
    if text == "invalid utf8":
        return InputError(f"{name}: not UTF-8 text; save the file as UTF-8")
    if not isinstance(error, OSError) and "object-store error" not in text:
        return InputError(f"{name}: cannot be read as a table: {hidden(text, environ)}")
    code = next((one or other for one, other in _CODE.findall(text)), "")
    if mistake := _mistake(name, error, text, code):
        return InputError(f"{name}: {mistake}")
    cause = (_LAST_CAUSE.findall(text) or _STATUS.findall(text) or ["no answer"])[-1]
    endpoint = urlsplit(storage_options(name, environ).get("aws_endpoint_url", "")).netloc
    at = f" at {endpoint}" if endpoint else ""
    return InfrastructureError(
        f"{name}: the store{at} cannot be asked: {hidden(cause, environ)}{f' ({code})' if code else ''}; try again later"
    )


def _mistake(name: str, error: Exception, text: str, code: str) -> str | None:
    """What a user has to correct, from a store's answer; None where the store itself is in trouble."""
    store = store_of(name)
    variables = _VARIABLES[store]
    where = "container" if store == "az" else "bucket"
    bucket = urlsplit(name).netloc.partition("@")[0]
    is_sure = code in ("NoSuchKey", "BlobNotFound")  # a HEAD request has no words to tell what is missing
    said: tuple[tuple[object, str], ...] = (
        (_NO_BUCKET.search(text), f"no such {where} '{bucket}'"),
        ("service account file" in text, "GOOGLE_APPLICATION_CREDENTIALS names a file that is not there, or has no key"),
        ("Account must be specified" in text, "no account; set AZURE_STORAGE_ACCOUNT_NAME"),
        (_METADATA_SERVICE.search(text), f"no credentials; set {variables}"),
        (
            isinstance(error, FileNotFoundError),
            f"no such object in the {where} '{bucket}'{'' if is_sure else f', or no such {where}'}",
        ),
        (
            _REFUSED.search(text) or "401 Unauthorized" in text,
            f"the credentials are refused{f' ({code})' if code else ''}; correct or renew {variables}",
        ),
        (
            isinstance(error, PermissionError) or "403 Forbidden" in text,
            f"access denied; the credentials may not read it, or it is not there and they may not list the {where}",
        ),
        (code in _ANOTHER_REGION, "the bucket lies in another region; set AWS_REGION"),
        (_UNUSABLE.search(text), f"the credentials cannot be used: a key is not what keys look like; correct {variables}"),
    )
    return next((words for is_so, words in said if is_so), None)


def hidden(text: str, environ: Mapping[str, str]) -> str:
    """Words of a library on one line, without secrets of the environment and without queries of addresses, where signatures stand."""
    for variable, value in environ.items():
        if len(value) >= 4 and _SECRET.fullmatch(variable):
            text = text.replace(value, "***")
    return _QUERY.sub("", " ".join(text.split()))[:200]


def _options(variables: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> dict[str, Any]:
    found = {option: next((environ[name] for name in names if environ.get(name)), "") for option, names in variables.items()}
    return {option: value for option, value in found.items() if value}


def _google(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    key = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if not key:
        return {}
    if key.lstrip().startswith("{"):
        try:
            json.loads(key)
        except ValueError:
            raise InputError(f"{name}: GOOGLE_APPLICATION_CREDENTIALS begins like the JSON of a key and is none") from None
        return {"google_service_account_key": key}
    try:
        kind = json.loads(Path(key).read_bytes()).get("type")
    except OSError:
        raise InputError(f"{name}: GOOGLE_APPLICATION_CREDENTIALS names a file that cannot be read") from None
    except (ValueError, AttributeError):
        raise InputError(f"{name}: GOOGLE_APPLICATION_CREDENTIALS names a file that is no JSON with a key") from None
    return {"google_service_account" if kind == "service_account" else "google_application_credentials": key}


def _azure(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    options = _options(_AZ, environ)
    connection = environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if connection:
        parts = dict(part.partition("=")[::2] for part in connection.split(";") if part.strip())
        known = {option: parts[part] for part, option in _AZ_CONNECTION.items() if parts.get(part)}
        if not known.get("azure_storage_account_name"):
            raise InputError(f"{name}: AZURE_STORAGE_CONNECTION_STRING: expected AccountName=…;AccountKey=…")
        options = known | {option: value for option, value in options.items() if option not in known}
    if "azure_storage_sas_token" in options:
        options["azure_storage_sas_token"] = options["azure_storage_sas_token"].removeprefix("?")
    if options.get("azure_storage_endpoint", "").startswith("http://"):
        options["azure_allow_http"] = "true"
    return options


def _is_endpoint(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
