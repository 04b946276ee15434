"""A repository on GitHub with a secret of its own in every place that can hold one, and all that a run of mlgate leaves or says.

Real Git over HTTP, real DVC over HTTP, GitHub stood in for. The servers that refuse say back the credentials that they were given, as
servers with debugging switched on do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from github_stand_in import StandIn
from support import commit_files, git

NUMBER = 7
BY_THE_USER = "the user's own output: "

SECRETS = {
    name: f"planted-{name}-{index:02}x7Qz"
    for index, name in enumerate(
        [
            "github",  # MLGATE_GITHUB_TOKEN
            "users-github",  # GITHUB_TOKEN, which a workflow may hand to its own steps
            "env",  # of the secret MLGATE_ENV
            "notify",  # in the address of a webhook
            "origin",  # in the URL of the clone's origin
            "remote",  # in the URL of DVC's remote
            "local",  # .dvc/config.local
            "dvc-config",  # DVC_CONFIG of MLGATE_ENV
            "tracking",  # in MLFLOW_TRACKING_URI
            "mlflow-password",
            "mlflow-token",
            "aws",
            "aws-session",
            "proxy",
        ]
    )
}
"""Each by what it opens."""

CONFIG = """\
model: digits
data: {{pull: [data.csv]}}
checks: [python check.py]
train: {{command: python train.py}}
evaluation: {{task: classification, predictions: p.csv, metrics: [accuracy, 'own.py:own']}}
gate: {{rules: [{{metric: accuracy, min: {least}}}]}}
notify: {{webhooks: [{{kind: slack, env: HOOK}}]}}
"""
# Prints and leaves everything it is told, and who runs beside it.
TRAIN = f"""\
import os, pathlib
for name, value in sorted(os.environ.items()):
    for line in value.splitlines():
        print({BY_THE_USER!r} + name + "=" + line)
processes = pathlib.Path(os.environ["PROCESSES"])
with processes.open("ab") as stream, processes.with_name("environments").open("ab") as environments:
    for each in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            stream.write(each.read_bytes() + b"\\n")
            environ = each.with_name("environ").read_bytes()
        except OSError:
            continue
        if f"PROCESSES={{processes}}".encode() in environ:  # of this run, not of a test beside it
            environments.write(each.read_bytes() + environ + b"\\n")
pathlib.Path("p.csv").write_text("id,y,y_pred\\n" + "".join(f"{{i}},{{i % 2}},{{i % 2 if i else 1}}\\n" for i in range(60)))
"""
OWN = "import os\ndef own(y_true, y_pred):\n    return 1.0\n"
GIT = """\
#!/bin/sh
printf '%s\\n' "$*" >> '{arguments}'
exec '{git}' "$@"
"""


@dataclass
class Refusing:
    """A server that takes nothing, and says in what it answers whose credentials it did not like."""

    port: int = 0
    status: int = 403
    asked: list[str] = field(default_factory=list)


@contextmanager
def refusing(status: int = 403, but: str | None = None) -> Iterator[Refusing]:
    """Such a server; what has `but` in its path is answered with an empty JSON object."""
    server_ = Refusing(status=status)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server_.asked.append(self.path)
            given = self.headers.get("Authorization", "nobody")
            if given.lower().startswith("basic "):
                given += " " + base64.b64decode(given.split()[1]).decode()
            is_fine = but is not None and but in self.path
            text = "{}" if is_fine else json.dumps({"message": f"{self.path}: refused to {given}", "error_code": "PERMISSION_DENIED"})
            self.send_response(200 if is_fine else server_.status)
            self.send_header("Content-Type", "application/json" if "/api/" in self.path else "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 -- the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server_.port = server.server_port
        yield server_
        server.shutdown()


@dataclass
class World:
    """The repository, its runner, and what was said so far."""

    folder: Path
    github: StandIn
    said: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    by_the_user: str = ""
    """What the user's training printed."""

    @classmethod
    def make(cls, folder: Path, github: StandIn, *, dvc_port: int, git_port: int, least: float = 0.5) -> World:
        world = cls(folder, github)
        github.add_token(SECRETS["github"])
        content = b"x\n1\n"
        md5 = hashlib.md5(content).hexdigest()
        served = folder / "served/files/md5" / md5[:2]
        served.mkdir(parents=True)
        (served / md5[2:]).write_bytes(content)
        remote = f"http://ada:{SECRETS['remote']}@127.0.0.1:{dvc_port}"
        files = {
            "mlgate.yaml": CONFIG.format(least=least),
            "train.py": TRAIN,
            "check.py": "print('checked')\n",
            "own.py": OWN,
            "data.csv.dvc": f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: data.csv\n",
            ".dvc/config": f"[core]\n    remote = away\n['remote \"away\"']\n    url = {remote}\n",
            ".gitignore": "/data.csv\n/.mlgate\n/p.csv\n/.dvc/config.local\n/.dvc/tmp\n/.dvc/cache\n",
        }
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "www/octo/models")
        git(folder / "www/octo/models", "config", "http.receivepack", "true")
        git(folder, "init", "--quiet", "--initial-branch=main", "clone")
        commit_files(world.root, {**files, "README.md": "first"}, "first")
        head = commit_files(world.root, {"README.md": "second"}, "second")
        github.add_pull_request(NUMBER, head_sha=head, base_sha=git(world.root, "rev-parse", "HEAD^"))
        git(world.root, "push", "--quiet", str(folder / "www/octo/models"), "main")
        git(world.root, "remote", "add", "origin", f"http://x-access-token:{SECRETS['origin']}@127.0.0.1:{git_port}/octo/models")
        (world.root / ".dvc/config.local").write_text(f"['remote \"away\"']\n    password = {SECRETS['local']}\n")
        return world

    @property
    def root(self) -> Path:
        return self.folder / "clone"

    def environment(self, *, git_port: int) -> dict[str, str]:
        """Of the runner's steps for a push, before `setup`."""
        head = git(self.root, "rev-parse", "HEAD")
        (self.folder / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
        inherited = {name: os.environ[name] for name in ("LANG", "VIRTUAL_ENV") if name in os.environ}
        return {
            **inherited,
            "PATH": f"{self._programs()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": head,
            "GITHUB_RUN_ID": "5",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": f"http://127.0.0.1:{git_port}",
            "GITHUB_STEP_SUMMARY": str(self.folder / "out/summary.md"),
            "GITHUB_OUTPUT": str(self.folder / "out/output"),
            "MLGATE_GITHUB_TOKEN": SECRETS["github"],
            "MLGATE_GITHUB_PATIENCE_S": "1",
            "GITHUB_TOKEN": SECRETS["users-github"],
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            "MLFLOW_TRACKING_USERNAME": "ada",
            "MLFLOW_TRACKING_PASSWORD": SECRETS["mlflow-password"],
            "MLFLOW_TRACKING_TOKEN": SECRETS["mlflow-token"],
            "AWS_SECRET_ACCESS_KEY": SECRETS["aws"],
            "AWS_SESSION_TOKEN": SECRETS["aws-session"],
            "HTTPS_PROXY": f"http://runner:{SECRETS['proxy']}@127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            "MLGATE_NOTIFY_ENV": f"HOOK=http://127.0.0.1:9/services/{SECRETS['notify']}",
            "PROCESSES": str(self.folder / "processes"),
        }

    def of_pull_request(self) -> dict[str, str]:
        """What is different where the event is a pull request with the same head."""
        document = {
            "repository": {"default_branch": "main"},
            "pull_request": {
                "number": NUMBER,
                "head": {"sha": git(self.root, "rev-parse", "HEAD"), "repo": {"full_name": "octo/models"}},
                "base": {"sha": git(self.root, "rev-parse", "HEAD^"), "ref": "main"},
            },
        }
        path = self.folder / "pull-request.json"
        path.write_text(json.dumps(document))
        return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path), "GITHUB_REF": f"refs/pull/{NUMBER}/merge"}

    def _programs(self) -> Path:
        """A folder with a `git` that writes its arguments down."""
        folder = self.folder / "programs"
        if not folder.exists():
            folder.mkdir()
            real = next(path for entry in os.environ["PATH"].split(os.pathsep) if (path := Path(entry) / "git").exists())
            (folder / "git").write_text(GIT.format(arguments=self.folder / "arguments", git=real))
            (folder / "git").chmod(0o755)
        return folder

    def set_up(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The step `setup` of a job with the secret MLGATE_ENV; the environment of the steps that follow."""
        (self.folder / "out").mkdir(exist_ok=True)
        exported = self.folder / "exported"
        exported.write_text("")
        spare = f"['remote \"spare\"']\n    url = http://127.0.0.1:9\n    password = {SECRETS['dvc-config']}\n"
        secret = f"SERVICE={SECRETS['env']}\nDVC_CONFIG<<END\n{spare}END\n"
        done = self._call(["setup"], {**environ, "MLGATE_SECRET_ENV": secret, "GITHUB_ENV": str(exported)})
        # How the runner is told what to mask, before anything else is said.
        self.said += "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith("::add-mask::")) + done.stderr
        assert done.returncode == 0, done.stderr
        found = re.findall(r"^(\w+)<<(\S+)\n(.*?)\n\2\n", exported.read_text(), re.MULTILINE | re.DOTALL)
        return {**environ, **{name: value for name, _, value in found}}

    def run(self, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """`mlgate …`; its output counts but for what the user's own program prints: that is masked by the runner, live."""
        done = self._call(list(arguments), environ)
        own = [line for line in done.stdout.splitlines(keepends=True) if not line.startswith(BY_THE_USER)]
        self.said += "".join(own) + done.stderr
        return done

    def _call(self, arguments: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlgate.cli", *arguments],
            cwd=self.root,
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    # ---- everything that was left

    def leaks(self) -> list[str]:
        """Which secret is where: in what was printed, written, posted, recorded, or handed to a program as an argument."""
        return sorted(
            f"{name} in {place}"
            for place, content in self._outputs()
            for name, secret in SECRETS.items()
            if any(form in content for form in _forms(secret))
        )

    def _outputs(self) -> Iterator[tuple[str, bytes]]:
        yield "what was printed", self.said.encode()
        for folder in (self.root / ".mlgate", self.folder / "out", self.folder / "artifacts"):
            for path in folder.rglob("*") if folder.exists() else ():
                if path.is_file():
                    yield path.relative_to(self.folder).as_posix(), path.read_bytes()
        for name in ("arguments", "processes", "mlflow.db"):
            if (self.folder / name).exists():
                yield name, (self.folder / name).read_bytes()
        for exchange in self.github.requests:
            yield f"{exchange.method} {exchange.path}", json.dumps([exchange.path, exchange.query, exchange.body]).encode()
        bare = self.folder / "www/octo/models"
        for ref in git(bare, "for-each-ref", "--format=%(refname)", "refs/mlgate").split():
            yield f"{ref}: history", git(bare, "log", "--format=%B%an%ae", ref).encode()
            for name in git(bare, "ls-tree", "-r", "--name-only", ref).splitlines():
                yield f"{ref}: {name}", git(bare, "show", f"{ref}:{name}").encode() if name.endswith(".json") else name.encode()
        yield "the clone's settings", _changed_settings(self.root)


def _changed_settings(root: Path) -> bytes:
    """Git's settings but for the origin's URL, which was there before."""
    return "\n".join(line for line in git(root, "config", "--list").splitlines() if not line.startswith("remote.origin.url")).encode()


def _forms(secret: str) -> list[bytes]:
    """A secret as it is, and as a header carries it."""
    encoded = [base64.b64encode(f"{user}:{secret}".encode()) for user in ("x-access-token", "ada", "runner")]
    return [secret.encode(), *encoded]
