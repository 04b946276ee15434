"""An authority of the company's own, named in one variable, made known to everything that speaks TLS here: each reads another variable.

requests (GitHub, MLflow, boto) reads REQUESTS_CA_BUNDLE, OpenSSL (DVC's HTTP remotes) SSL_CERT_FILE, git GIT_SSL_CAINFO. Whoever set one
of the first two meant all of them. What is set already stays as it is; where a variable is added, it names the given authorities beside the
usual ones, so that nothing stops working that did before. Commands of the user's do not see what was added.
"""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from mlgate import git
from mlgate.errors import InfrastructureError, InputError

_GIVEN = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
ADDED = "MLGATE_ADDED_CERTIFICATES"
"""Names the variables that were added, for `environment.user_environment`."""


def share(environ: MutableMapping[str, str]) -> list[str]:
    """Add the variables that are missing to `environ`, of this process.

    Returns:
        Their names; none where no authority is given, or each program has its own.

    Raises:
        InputError: a variable names what is not there: requests would end in a traceback, OpenSSL say nothing.
        InfrastructureError: the temporary folder cannot be written.
    """
    given = [name for name in _GIVEN if environ.get(name)]
    for name in given:
        if not Path(environ[name]).exists():
            raise InputError(f"{name}: no file '{environ[name]}'; expected certificates of your authority, as PEM")
    files = [path for name in given if (path := Path(environ[name])).is_file()]
    missing = [name for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "GIT_SSL_CAINFO") if not environ.get(name)]
    if environ.get("CURL_CA_BUNDLE"):
        missing = [name for name in missing if name != "REQUESTS_CA_BUNDLE"]  # requests reads it, too
    if "GIT_SSL_CAINFO" in missing and files and git.try_text(Path.cwd(), "config", "--get", "http.sslCAInfo"):
        missing.remove("GIT_SSL_CAINFO")
    if not files or not missing:
        return []
    bundle = _bundle(files)
    for name in missing:
        environ[name] = bundle
    environ[ADDED] = " ".join(missing)
    return missing


def _bundle(given: list[Path]) -> str:
    """The given authorities and the usual ones in one file, which is gone with this process."""
    places = [*given, *_usual()]
    try:
        content = b"\n".join(dict.fromkeys(place.read_bytes() for place in places))
        folder = tempfile.mkdtemp(prefix="mlgate-certificates-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "bundle.pem"
        path.write_bytes(content)
    except OSError as error:
        raise InfrastructureError(
            f"{error.filename or tempfile.gettempdir()}: certificates cannot be put together: {error.strerror}"
        ) from None
    return str(path)


def _usual() -> list[Path]:
    """The system's authorities; requests' own where there are none."""
    system = [
        Path(ssl.get_default_verify_paths().openssl_cafile),
        Path("/etc/ssl/certs/ca-certificates.crt"),
        Path("/etc/pki/tls/cert.pem"),
    ]
    found = [path for path in system if path.is_file()][:1]
    if not found:
        import certifi

        found = [Path(certifi.where())]
    return found


def without_added(environ: MutableMapping[str, str]) -> None:
    """Take away again what `share` added."""
    for name in environ.pop(ADDED, "").split():
        environ.pop(name, None)
