"""What data in an object store is: the store's own words for a version of it, its ETag or generation. No commit pins such data; this tells
at least that it is what was checked.

The stores are asked by the clients that DVC's remotes use (s3fs, gcsfs, adlfs), where they are installed: `scripts/mlgate.sh` does that
where mlgate.yaml names such data.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import DataRef
from mlgate.tables import places
from mlgate.tables.table import SUFFIXES

UNPINNED = "unpinned"
_VERSIONS = ("VersionId", "generation", "etag", "ETag", "e_tag")


def identify(name: str, environ: Mapping[str, str] = os.environ) -> DataRef:
    """The identity of an object, or of all objects below an address.

    Args:
        name: `s3://bucket/path`.
        environ: holds the credentials.

    Returns:
        `hash` is `etag:<the store's>` of one object, `etags:<SHA-256>` of a folder's listing, `unpinned` where the store's client is not
        installed.

    Raises:
        InputError: nothing is there, or the credentials are refused.
        InfrastructureError: the store cannot be asked.
    """
    try:
        client = _client(name, environ)
    except ImportError:
        return DataRef(path=name, hash=UNPINNED, size_bytes=0, files=0, tracked_by="none")
    path = name.partition("://")[2].rstrip("/")
    if name.startswith("abfs") and "@" in path.partition("/")[0]:
        container, _, rest = path.partition("/")
        path = f"{container.partition('@')[0]}/{rest}"
    try:
        client.invalidate_cache()
        found = _objects(client, path, is_one=not name.endswith("/") and PurePosixPath(path).suffix.lower() in SUFFIXES)
    except FileNotFoundError:
        found = {}
    except PermissionError:
        raise InputError(f"{name}: access denied: the credentials may not list it") from None
    except Exception as error:  # noqa: BLE001 -- three clients, each with a family of errors of its own
        raise InfrastructureError(f"{name}: cannot be asked for its version: {places.hidden(type(error).__name__, environ)}") from None
    objects = {key: about for key, about in found.items() if about.get("type", "file") == "file"}
    if not objects:
        raise InputError(f"{name}: nothing is there")
    size = sum(int(about.get("size") or 0) for about in objects.values())
    versions = {key: _version(about) for key, about in objects.items()}
    if list(objects) == [path]:
        said = f"etag:{versions[path]}"
    else:
        listed = "".join(f"{key}\t{versions[key]}\t{objects[key].get('size')}\n" for key in sorted(objects))
        said = f"etags:{hashlib.sha256(listed.encode(errors='surrogateescape')).hexdigest()}"
    return DataRef(path=name, hash=said, size_bytes=size, files=len(objects), tracked_by="none")


def _objects(client: Any, path: str, *, is_one: bool) -> dict[str, Any]:
    """What the store says of an object, or of all below an address."""
    if is_one:  # asked for alone: credentials that may read it need not be ones that may list
        about = client.info(path)
        if about.get("type") == "file":
            return {path: about}
    found = client.find(path, detail=True)
    return found if isinstance(found, dict) else {one: client.info(one) for one in found}  # adlfs gives no details with a listing


def _version(about: Mapping[str, Any]) -> str:
    found = next((about[key] for key in _VERSIONS if about.get(key) and about[key] != "null"), None)
    return str(found).strip('"') if found is not None else f"size {about.get('size')}"


def _client(name: str, environ: Mapping[str, str]) -> Any:
    """A client of the store with the credentials that Polars reads it with. Raises ImportError: it is not installed."""
    store = places.store_of(name)
    options = places.storage_options(name, environ)
    import fsspec  # type: ignore[import-untyped]

    if store == "s3":
        shared = {"endpoint_url": options.get("aws_endpoint_url"), "region_name": options.get("aws_region")}
        return fsspec.filesystem(
            "s3",
            key=options.get("aws_access_key_id"),
            secret=options.get("aws_secret_access_key"),
            token=options.get("aws_session_token"),
            anon=options.get("aws_skip_signature", "").lower() in ("1", "true"),
            client_kwargs={key: value for key, value in shared.items() if value},
            skip_instance_cache=True,
        )
    if store == "gs":
        token = options.get("google_service_account") or options.get("google_application_credentials")
        if not token and (key := options.get("google_service_account_key")):
            token = json.loads(key)
        return fsspec.filesystem("gs", token=token or "google_default", skip_instance_cache=True)
    return fsspec.filesystem(
        "az",
        connection_string=environ.get("AZURE_STORAGE_CONNECTION_STRING") or None,
        account_name=options.get("azure_storage_account_name"),
        account_key=options.get("azure_storage_account_key"),
        sas_token=options.get("azure_storage_sas_token"),
        client_id=options.get("azure_client_id"),
        client_secret=options.get("azure_client_secret"),
        tenant_id=options.get("azure_tenant_id"),
        skip_instance_cache=True,
    )
