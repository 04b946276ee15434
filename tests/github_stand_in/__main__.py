"""The stand-in as a process: prints its URL, serves until it is told to end, then writes what happened.

PYTHONPATH=tests python -m github_stand_in --port 8099 --pull-request 7:<head sha>:<base sha> --state-file state.json
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from github_stand_in import StandIn


def main() -> int:
    parser = argparse.ArgumentParser(prog="github_stand_in", description=__doc__)
    parser.add_argument("--repository", default="octo/models")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="", help="/api/v3 for a GitHub Enterprise Server")
    parser.add_argument("--pull-request", action="append", default=[], metavar="NUMBER:HEAD:BASE")
    parser.add_argument("--state-file", type=Path, required=True, help="where comments, statuses, requests and violations are written")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with StandIn(options.repository, port=options.port, prefix=options.prefix) as github:
        for text in options.pull_request:
            pull_request, head, base = text.split(":")
            github.add_pull_request(int(pull_request), head, base)
        print(json.dumps({"url": github.url, "token": github.token}), flush=True)
        ended.wait()
        options.state_file.write_text(json.dumps(github.dump(), indent=1))
        return 1 if github.violations else 0


if __name__ == "__main__":
    sys.exit(main())
