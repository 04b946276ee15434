"""Leaves a note that code of this repository ran: in which job, and with which environment. Written where E2E_NOTES says."""

import json
import os
import sys
import uuid
from pathlib import Path


def leave(who: str) -> None:
    print(f"{who}: the secret is {os.environ.get('DATA_SECRET')}")
    folder = os.environ.get("E2E_NOTES")
    if folder:
        note = {"who": who, "job": os.environ.get("GITHUB_JOB"), "environ": dict(os.environ)}
        Path(folder, f"{uuid.uuid4()}.json").write_text(json.dumps(note))


if __name__ == "__main__":
    leave(sys.argv[1])
