"""A run of mlgate that leases pretended GPUs and trains on them: `python lease_job.py <what is asked for, as JSON>`.

Says on standard output, a JSON object a line, that it waits, what it leased, and the number of a worker of its training. Ends when its
standard input does. Asked for a `uid`, it goes on as that user with a `python` that user may run: root's own may lie where none but root
looks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import FrameType

from mlgate import process
from mlgate.errors import MlgateError
from mlgate.gpu import lease
from mlgate.gpu.claims import Claim

# A worker in a session of its own, as torchrun starts them.
_TRAINING = "setsid sh -c '{}echo $$; while :; do sleep 0.05; done' & wait"
_DEAF = 'trap "" TERM; '
# A training that writes over its environment, as those that set the title of their process do.
_HIDDEN = """
import ctypes, os, time
environ = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
for number in range(len(os.environ)):
    ctypes.memset(environ[number], 0, len(ctypes.string_at(environ[number])))
print(os.getpid(), flush=True)
time.sleep(60)
"""


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def become(uid: int) -> None:
    os.umask(0o077)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def main(asked: dict[str, object]) -> int:
    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)  # as mlgate's command line does

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
    if asked.get("uid"):
        sys.executable = str(asked["python"])
        become(int(str(asked["uid"])))
    bystander = None
    if asked.get("has_bystander"):  # a runner and its training in one session
        os.setsid()
        bystander = subprocess.Popen(["sleep", "30"], stdout=subprocess.DEVNULL).pid
    mark = process.new_mark()
    devices = [Claim(uuid, parent) for uuid, parent in asked["devices"]]  # type: ignore[attr-defined]
    try:
        with lease.acquire(
            devices,
            int(str(asked.get("count", 1))),
            mark=mark,
            wait_s=float(str(asked.get("wait_s", 30))),
            what=str(asked.get("what", "digits")),
            on_waiting=lambda waiting: say(event="waiting", in_front=waiting.in_front, said=lease.said(waiting)),
        ) as held:
            worker = None
            if asked.get("trains"):
                training = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _HIDDEN]
                    if asked.get("is_hidden")
                    else ["sh", "-c", _TRAINING.format(_DEAF if asked.get("is_deaf") else "")],
                    env={"PATH": os.environ["PATH"], "MLGATE_COMMAND_IDS": f"outer:{mark}"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    start_new_session=bystander is None,
                    pass_fds=held.fds if asked.get("passes_on") else (),
                )
                assert training.stdout is not None
                worker = int(training.stdout.readline())
            say(event="leased", devices=held.devices, worker=worker, mark=mark, in_front=held.in_front, bystander=bystander)
            sys.stdin.read()
            process.Processes(None, mark).kill()
    except MlgateError as error:
        say(event="refused", message=str(error))
        return error.exit_code
    except KeyboardInterrupt as interruption:
        say(event="interrupted", by=str(interruption))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
