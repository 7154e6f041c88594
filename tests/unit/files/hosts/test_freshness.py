"""Whether a folder is of a network's file system, and that looking at it anew costs nothing on a local one."""

import pytest

from atlas_resources.files.hosts import freshness
from atlas_resources.files.hosts.freshness import CLOCK_TOLERANCE_NS, TICK_NS, is_network, refresh, settled_ns


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """As if the folder were mounted with a type of file system."""
    device = tmp_path.stat().st_dev

    def mount(kind: str) -> None:
        mounts = tmp_path / "mountinfo"
        number = f"{device >> 8 & 0xFFF}:{device & 0xFF | device >> 12 & 0xFFF00}"  # makedev(3), glibc
        mounts.write_text(
            f"25 1 0:3 / /proc rw - proc proc rw\n36 25 {number} / /mnt rw,noatime master:1 - {kind} x rw\n"
        )
        monkeypatch.setattr(freshness, "MOUNTS", mounts)
        freshness._is_network.cache_clear()

    yield mount
    freshness._is_network.cache_clear()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nfs4", True), ("nfs", True), ("ceph", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)],
)
def test_the_type_of_its_mount_says_whether_others_may_change_it(mounted, tmp_path, kind, expected):
    mounted(kind)
    assert is_network(tmp_path) is expected
    assert settled_ns(tmp_path.stat().st_dev) == (TICK_NS + CLOCK_TOLERANCE_NS if expected else TICK_NS)


def test_a_folder_of_a_network_is_asked_for_and_one_of_this_machine_is_not(mounted, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(freshness, "_statx", lambda: lambda folder, path, *rest: asked.append(path))
    mounted("nfs4")
    refresh(tmp_path, tmp_path / "gone", tmp_path)
    assert asked == [str(tmp_path).encode()] * 2
    mounted("ext4")
    refresh(tmp_path)
    assert len(asked) == 2


def test_a_machine_without_a_list_of_mounts_has_local_disks(tmp_path, monkeypatch):
    monkeypatch.setattr(freshness, "MOUNTS", tmp_path / "none")
    freshness._is_network.cache_clear()
    assert not is_network(tmp_path)
    refresh(tmp_path)
    freshness._is_network.cache_clear()


def test_this_machines_own_statx_answers(mounted, tmp_path):
    mounted("nfs4")
    assert freshness._statx() is not None
    refresh(tmp_path)
