"""A company's network: servers that only a proxy reaches, with certificates of the company's own authority. Real sockets, real TLS.

Names such as `github.example` exist for the proxy alone, so whatever arrives went through it.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("github.example", "data.example", "packages.example")
_PROXY_PASSWORD = "pr0xy-s3cret"


@dataclass
class Network:
    """What a runner there is told: the proxy's address, and the authority's certificate."""

    proxy: str
    authority: Path
    seen: list[str] = field(default_factory=list)
    """`CONNECT github.example:443`, in order."""
    password = _PROXY_PASSWORD

    def environment(self, authority_in: str, **more: str) -> dict[str, str]:
        """Of a process there; no variable of this machine's network is in it."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and name.upper() not in _OF_CERTIFICATES and not name.startswith(("GITHUB_", "MLGATE_"))
        }
        return {**inherited, "HTTPS_PROXY": self.proxy, "NO_PROXY": "127.0.0.1", authority_in: str(self.authority), **more}


_OF_CERTIFICATES = frozenset(
    {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE"}
)


@contextmanager
def company_network(folder: Path, ports: Mapping[str, int | Mapping[str, int]]) -> Iterator[Network]:
    """Servers of this machine, by plain port, as https hosts behind a proxy that asks for a password.

    A host may be several servers, by how paths begin; the first that fits.
    """
    authority, certificate = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    paths = {host: {"": port} if isinstance(port, int) else port for host, port in ports.items()}
    fronts = {f"{host}:443": _listen(partial(_front, context, servers)) for host, servers in paths.items()}
    network = Network("", authority)
    proxy = _listen(partial(_proxy, network, fronts))
    network.proxy = f"http://runner:{_PROXY_PASSWORD}@127.0.0.1:{proxy}"
    yield network


def _certificates(folder: Path) -> tuple[Path, Path]:
    """The authority's certificate, and one for all hosts with its key."""
    now = dt.datetime.now(dt.UTC)

    def issued(name: str, key: Any, issuer: x509.Name | None, signer: Any, *extensions: tuple[Any, bool]) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(issuer or subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(signer, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    root = issued("A company", root_key, None, root_key, (x509.BasicConstraints(ca=True, path_length=None), True), (usage, True))
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    leaf = issued("hosts", key, root.subject, root_key, (names, False))
    authority, certificate = folder / "authority.pem", folder / "hosts.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return authority, certificate


def _listen(serve: Any) -> int:
    """Give each connection to `serve`, in a thread; the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(server.getsockname()[1])


def _front(context: ssl.SSLContext, servers: Mapping[str, int], connection: socket.socket) -> None:
    """TLS in front of plain servers. Who calls keeps to one of them for as long as the connection lasts."""
    try:
        with context.wrap_socket(connection, server_side=True) as secure:
            if not (begun := secure.recv(65536)):
                return
            path = begun.decode("latin-1").split(" ")[1]
            port = next(port for beginning, port in servers.items() if path.startswith(beginning))
            with socket.create_connection(("127.0.0.1", port)) as plain:
                plain.sendall(begun)
                _pipe(secure, plain)
    except OSError:
        pass  # who called did not trust us, or hung up


def _proxy(network: Network, fronts: dict[str, int], connection: socket.socket) -> None:
    expected = base64.b64encode(f"runner:{_PROXY_PASSWORD}".encode()).decode()
    with connection:
        while head := _head(connection):
            request, _, headers = head.partition("\r\n")
            method, target, _ = request.split(" ")
            if f"basic {expected}".lower() not in headers.lower():
                # git asks without the password first, and again on the same connection.
                connection.sendall(
                    b'HTTP/1.1 407 Authentication required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
                )
                continue
            network.seen.append(f"{method} {target}")
            if method != "CONNECT" or target not in fronts:
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", fronts[target])) as onward:
                _pipe(connection, onward)
            return


def _head(connection: socket.socket) -> str:
    """A request without its body; empty where the other side hung up."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (chunk := connection.recv(4096)):
            return ""
        head += chunk
    return head.decode("latin-1")


def _pipe(one: socket.socket, other: socket.socket) -> None:
    def forward(source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    back = threading.Thread(target=forward, args=(other, one), daemon=True)
    back.start()
    forward(one, other)
    back.join(10)


@contextmanager
def folder_server(folder: Path) -> Iterator[int]:
    """A plain web server for a folder; its port."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()
