"""The folder in which all runner agents of a machine keep their locks on its GPUs: opened safely, for users that do not trust one another's
files. `lease` decides who gets what; here are only files and `flock`.

The folder lies in a sticky place that everybody writes to, so a name in it may be anything: a link, a FIFO, a file of another user's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgate.errors import InfrastructureError, InputError

VARIABLE = "MLGATE_GPU_LOCKS"
DEFAULT = "/tmp/mlgate-gpu"  # noqa: S108 -- the one place that all users of a machine have; what lies there is distrusted below
MAX_BYTES = 64 * 1024
"""Of a file in the folder; ours have less."""

_QUEUE = "queue.lock"
_CHANGED = "changed"
_PATIENCE_S = 30.0
_PAUSE_S = 0.004
_TRIES = 50
# flock there reaches the server or nobody, and is another lock than on a local disk: it does not stay with the process that inherits it
_NETWORK = ("nfs", "cifs", "smb", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "9p", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph")


class LockFolder:
    """The folder, open; all names are taken below it, wherever it may be moved."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._folder = descriptor

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> LockFolder:
        """Open the machine's folder; make it where there is none.

        Raises:
            InputError: MLGATE_GPU_LOCKS is no absolute path.
            InfrastructureError: it is a link, on a network file system, or cannot be written.
        """
        path = Path(environ.get(VARIABLE) or DEFAULT)
        if not path.is_absolute():
            raise InputError(f"{VARIABLE}: expected an absolute path, the same for all runners of the machine, got '{path}'")
        try:
            descriptor = _opened(path)
        except NotADirectoryError:  # with O_DIRECTORY also for a link
            raise InfrastructureError(f"{path}: expected a folder for the GPUs' locks, found a link or a file; {_REMEDY}") from None
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot hold the GPUs' locks: {error.strerror}; {_REMEDY}") from None
        folder = cls(path, descriptor)
        try:
            if str(path) == DEFAULT and os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o1777)  # Docker makes what is mounted and not there for root alone
            folder._try_out()
        except BaseException:
            folder.close()
            raise
        return folder

    def close(self) -> None:
        os.close(self._folder)

    def open_file(self, name: str, *, is_new: bool = True) -> int:
        """A file for reading and writing, made where there is none, unless it must not be new.

        Raises:
            FileNotFoundError: there is none, and `is_new` is false.
            InfrastructureError: it is no regular file of one name, or must not be written by us.
        """
        for _ in range(_TRIES):
            try:
                return _checked(os.open(name, os.O_RDWR | _SAFELY, dir_fd=self._folder))
            except FileNotFoundError:
                if not is_new:
                    raise
                try:
                    return self._created(name)
                except (FileExistsError, PermissionError):
                    time.sleep(_PAUSE_S)
                except OSError as error:
                    raise self._failed(name, error) from None
            except PermissionError:
                time.sleep(_PAUSE_S)  # whoever makes it, or the folder, just now has not opened it to all
            except OSError as error:
                raise self._failed(name, error) from None
        raise self._failed(name, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def create(self, name: str) -> int:
        """A new file, open to every user of the machine. Raises FileExistsError: there is something of that name."""
        try:
            return self._created(name)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed(name, error) from None

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none that is ours to read."""
        try:
            descriptor = os.open(name, os.O_RDONLY | _SAFELY, dir_fd=self._folder)
        except OSError:
            return None
        try:
            return os.pread(descriptor, MAX_BYTES, 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        finally:
            os.close(descriptor)

    def write(self, name: str, descriptor: int, content: bytes) -> None:
        """Replace what a file of ours says. Raises InfrastructureError: the disk is full."""
        try:
            count = os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, count)
        except OSError as error:
            raise self._failed(name, error) from None
        if count < len(content):
            raise self._failed(name, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def is_same(self, name: str, descriptor: int) -> bool:
        """Whether an open file still is the one of that name: a clean-up of /tmp may have taken it away."""
        try:
            there, here = os.stat(name, dir_fd=self._folder, follow_symlinks=False), os.fstat(descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in os.listdir(self._folder) if name.startswith(prefix))  # noqa: PTH208 -- by descriptor

    def remove(self, name: str) -> None:
        """Remove a file, where we may: in a sticky folder another user's stays."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    @contextmanager
    def alone(self, wait: Callable[[float], None] = time.sleep) -> Iterator[int]:
        """Be the only one who looks and takes; gives the number of the visit's file. Short: everybody else waits meanwhile.

        Raises:
            InfrastructureError: somebody has been in there for half a minute.
        """
        descriptor = self._locked_queue(wait)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def tell(self) -> None:
        """Have all who wait look again."""
        descriptor = self.open_watched()
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)

    def open_watched(self) -> int:
        """The file that who waits watches, for a process that will have something to `tell`; the caller closes it."""
        return self.open_file(_CHANGED)

    def told(self) -> int:
        """Changes when `tell` was called."""
        try:
            return os.stat(_CHANGED, dir_fd=self._folder, follow_symlinks=False).st_mtime_ns
        except OSError:
            return 0

    def next_number(self, queue: int, least: int) -> int:
        """The next number in the order of arrival, for who is `alone`.

        Args:
            queue: what `alone` gave.
            least: above this, whatever was counted: the file may be new while some are waiting.
        """
        counted = os.pread(queue, 32, 0)
        number = max(int(counted) if counted.isdigit() and len(counted) <= _DIGITS else 0, least) + 1
        self.write(_QUEUE, queue, str(number).encode())
        return number

    def _locked_queue(self, wait: Callable[[float], None]) -> int:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            descriptor = self.open_file(_QUEUE)
            try:
                # looked at again and again: a wait inside flock() could neither be ended in time nor by a signal
                while not (is_locked := try_lock(descriptor)) and time.monotonic() < deadline:
                    wait(_PAUSE_S * (0.5 + random.random()))  # noqa: S311 -- so that not all come at once
                if is_locked and self.is_same(_QUEUE, descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if not is_locked:
                folder = self.path
                raise InfrastructureError(f"{folder}/{_QUEUE}: another process has held it for {_PATIENCE_S:.0f} s; end it") from None

    def _created(self, name: str) -> int:
        # O_EXCL: `fs.protected_regular` lets nobody open another user's file with O_CREAT alone, not even root
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o666, dir_fd=self._folder)
        with suppress(OSError):
            os.fchmod(descriptor, 0o666)  # whatever the umask
        return descriptor

    def _try_out(self) -> None:
        """Find out now whether locks work here, not in the middle."""
        _, kind = _mount_of(self.path)
        if is_network(kind):
            folder = self.path
            raise InfrastructureError(f"{folder}: is on a network file system ({kind}), where locks do not keep GPUs apart; {_REMEDY}")
        os.close(self.open_file(_QUEUE))

    def _failed(self, name: str, error: OSError) -> InfrastructureError:
        folder = self.path
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            return InfrastructureError(f"{folder}/{name}: expected a file of locks, found something else; take it away")
        return InfrastructureError(f"{folder}/{name}: cannot be written: {error.strerror}; {_REMEDY}")


def try_lock(descriptor: int, *, is_shared: bool = False) -> bool:
    """Take a lock, or tell at once that another has it. Raises InfrastructureError: there are no locks in this place."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InfrastructureError(f"{VARIABLE}: files cannot be locked there: {error.strerror}; {_REMEDY}") from None
    return True


def unlock(descriptor: int) -> None:
    """Let go, also for the processes that inherited the file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def remarks(environ: Mapping[str, str], *, is_container: bool) -> list[str]:
    """That the folder is the container's own, where it must be the machine's. Where Kubernetes hands GPUs out, nobody else has them."""
    if not is_container or environ.get(VARIABLE) or "KUBERNETES_SERVICE_HOST" in environ:
        return []
    place, kind = _mount_of(Path(DEFAULT))
    if place not in ("/", "") and (place, kind) != ("/tmp", "tmpfs"):  # noqa: S108 -- as above
        return []
    said = f"GPUs are leased by files in {DEFAULT}, and this container has one of its own, so jobs outside it are not seen"
    return [f"{said}; mount the machine's (container: volumes: ['{DEFAULT}:{DEFAULT}'])"]


def is_network(kind: str) -> bool:
    """Whether a kind of file system is on another machine."""
    return kind.startswith(_NETWORK)


def mount(mounts: str, path: str) -> tuple[str, str]:
    """Where the file system that holds a path is mounted, and of what kind it is (`ext4`, `nfs4`); both empty where it is not told.

    Args:
        mounts: /proc/self/mountinfo.
        path: absolute, without links.
    """
    found = ("", "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < _MOUNT_POINT + 1 or not after:
            continue
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[_MOUNT_POINT])
        if (place == "/" or f"{path}/".startswith(f"{place}/")) and len(place) >= len(found[0]):  # of two on one place the later one shows
            found = (place, after.split(" ")[0])
    return found


_REMEDY = "name a folder on a local disk that all runners of this machine may write to in MLGATE_GPU_LOCKS"
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO must not make us wait for its other end
_DIGITS = 14
_MOUNT_POINT = 4
"""Place in a line of mountinfo."""


def _mount_of(path: Path) -> tuple[str, str]:
    try:
        return mount(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"), os.path.realpath(path))
    except OSError:
        return "", ""


def _checked(descriptor: int) -> int:
    """The descriptor of a regular file that has no second name elsewhere: we would write into that, perhaps as root."""
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EMLINK, "it is no regular file of one name")


def _opened(path: Path) -> int:
    for attempt in range(_TRIES):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            pass
        else:
            path.chmod(0o1777)  # whatever the umask; sticky: nobody takes away what is another's
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):  # taken away; or made just now, and not yet opened to all
            if attempt + 1 == _TRIES:
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError("not reached")
