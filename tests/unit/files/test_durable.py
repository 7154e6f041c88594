"""Files are written whole or not at all, and what a killed process leaves is swept."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from atlas_resources.files import durable
from atlas_resources.files.contract import FileContract
from atlas_resources.files.durable import (
    LEFTOVER_SECONDS,
    make_folder,
    sweep_leftovers,
    write_bytes_atomically,
    write_folder_synced,
    write_json_atomically,
    write_synced,
)


class Count(FileContract):
    """What a JSON file here holds."""

    pixels: int


def test_a_file_is_written_with_its_folders_and_nothing_else_is_left(tmp_path: Path):
    path = tmp_path / "a" / "b" / "file.bin"
    write_bytes_atomically(path, b"one")
    write_bytes_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file.bin"]


def test_each_new_folder_is_flushed_to_disk_in_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flushed: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", flushed.append)
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    make_folder(tmp_path / "a" / "b" / "c")
    assert len(flushed) == 3, "a folder that exists is not flushed again"


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")


def test_a_model_is_written_as_indented_json_with_its_version_and_the_digest_of_the_file(tmp_path: Path):
    write_json_atomically(path := tmp_path / "count.json", Count(pixels=3))
    data = path.read_bytes()
    digest = json.loads(data)["content_sha256"]
    assert data == f'{{\n "schema_version": 2,\n "content_sha256": "{digest}",\n "pixels": 3\n}}\n'.encode()
    assert digest == hashlib.sha256(data.replace(digest.encode(), b"0" * 64)).hexdigest()


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(durable.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_bytes_atomically(path, b"new")
    assert (os.listdir(tmp_path), path.read_bytes()) == (["file.bin"], b"old")


def test_a_new_file_does_not_overwrite_another(tmp_path: Path):
    write_synced(tmp_path / "file.bin", b"one")
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "file.bin", b"two")
    assert (tmp_path / "file.bin").read_bytes() == b"one"


def test_only_old_leftovers_are_swept(tmp_path: Path):
    old, fresh, other = (tmp_path / name for name in (".a.json.0123.tmp", ".b.json.4567.tmp", "c.tmp"))
    for path in (old, fresh, other):
        path.write_bytes(b"part")
    long_ago = old.stat().st_mtime - LEFTOVER_SECONDS - 1
    for path in (old, other):
        os.utime(path, (long_ago, long_ago))
    sweep_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [fresh.name, other.name]


def test_files_of_a_folder_are_all_written_before_the_first_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three flushes: each file, of which the disk then has all bytes, and the folder."""
    sizes = []
    flush = os.fsync

    def noting(descriptor: int) -> None:
        sizes.append(sorted(path.stat().st_size for path in tmp_path.iterdir()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    write_folder_synced(tmp_path, {"one": b"1", "two": b"22"})
    assert sizes == [[1, 2]] * 3
    with pytest.raises(FileExistsError):
        write_folder_synced(tmp_path, {"two": b"3"})
    assert (tmp_path / "two").read_bytes() == b"22"
