"""Where the locks on a machine's GPUs lie."""

from __future__ import annotations

import pytest

from mlgate.gpu import lock_folder

MOUNTS = """\
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /tmp rw,nosuid shared:5 - tmpfs tmpfs rw
41 22 0:51 / /home rw - nfs4 filer:/home rw,vers=4.2
42 22 0:52 / /mnt/a\\040b rw - cifs //filer/b rw
43 41 259:1 /x /home/ada/local rw shared:1 master:2 - ext4 /dev/root rw
44 22 0:60 / /home rw - nfs filer2:/home rw
rubbish
"""


@pytest.mark.parametrize(
    ("path", "place", "kind"),
    [
        ("/var/locks", "/", "ext4"),
        ("/tmp/mlgate-gpu", "/tmp", "tmpfs"),
        ("/tmpfiles", "/", "ext4"),
        ("/home/ada", "/home", "nfs"),
        ("/home/ada/local/x", "/home/ada/local", "ext4"),
        ("/mnt/a b/c", "/mnt/a b", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_the_one_mounted_nearest(path: str, place: str, kind: str) -> None:
    assert lock_folder.mount(MOUNTS, path) == (place, kind)


def test_network_file_systems_are_told_from_local_ones() -> None:
    assert all(map(lock_folder.is_network, ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre"]))
    assert not any(map(lock_folder.is_network, ["", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse.overlayfs", "zfs"]))


def test_a_kernel_that_tells_nothing_is_no_error() -> None:
    assert lock_folder.mount("", "/tmp") == ("", "")


def test_a_container_with_a_folder_of_its_own_is_told_to_mount_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_folder, "DEFAULT", "/mlgate-gpu-of-a-test")  # where nothing is mounted
    [remark] = lock_folder.remarks({}, is_container=True)
    assert "container: volumes: ['/mlgate-gpu-of-a-test:/mlgate-gpu-of-a-test']" in remark
    assert lock_folder.remarks({}, is_container=False) == []
    assert lock_folder.remarks({"MLGATE_GPU_LOCKS": "/locks"}, is_container=True) == []
    assert lock_folder.remarks({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, is_container=True) == []
    monkeypatch.setattr(lock_folder, "DEFAULT", "/dev/shm")
    assert lock_folder.remarks({}, is_container=True) == []
