"""Only regular files of a bounded size are read, and nothing is waited for."""

import os
import socket
from pathlib import Path

import pytest

from atlas_resources.files.regular import UnfitFile, read_regular

pytestmark = pytest.mark.timeout(10)  # a read that waits would wait for ever


def test_a_file_is_read_up_to_its_limit(tmp_path: Path):
    path = tmp_path / "heron.txt"
    path.write_bytes(b"heron")
    assert read_regular(path, max_bytes=5) == b"heron"
    with pytest.raises(UnfitFile, match="found 5 bytes, expected at most 4 bytes"):
        read_regular(path, max_bytes=4)


def test_a_sparse_file_is_refused_unread(tmp_path: Path):
    path = tmp_path / "sparse.txt"
    path.touch()
    os.truncate(path, 30 << 30)
    with pytest.raises(UnfitFile, match="found 32,212,254,720 bytes, expected at most 100 bytes"):
        read_regular(path, max_bytes=100)


def test_a_pipe_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(UnfitFile, match="found a named pipe, expected a regular file"):
        read_regular(tmp_path / "link", max_bytes=100)


def test_a_device_is_refused(tmp_path: Path):
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(UnfitFile, match="found a character device, expected a regular file"):
        read_regular(tmp_path / "link", max_bytes=100)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # a socket's whole path may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(UnfitFile, match="found a socket, expected a regular file"):
            read_regular(tmp_path / "socket", max_bytes=100)


def test_a_file_that_states_no_size_is_read_up_to_its_limit():
    """Files of /proc have a stated size of 0."""
    assert b"Linux" in read_regular(Path("/proc/version"), max_bytes=10_000)
    with pytest.raises(UnfitFile, match="found more than 3 bytes"):
        read_regular(Path("/proc/version"), max_bytes=3)


def test_a_folder_is_told_as_one(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, max_bytes=100)
