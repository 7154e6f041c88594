"""A file is hashed once, and again as soon as `stat` reports a difference or its digest is forgotten."""

import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.made_specs import content_of, project_spec, with_field

from atlas_resources.files import digests
from atlas_resources.files.digests import digest_of, forget, memory_path, remember
from atlas_resources.files.hosts.freshness import TICK_NS
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import forget_digests, require_weights, verify_weights

REAL_MEMORY_PATH = memory_path  # conftest puts another in its place, of the module
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1: sha256 of "abc"
ABD_SHA256 = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"  # sha256sum of GNU coreutils 9.1
SETTLED_SECONDS = 0.05


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed, in order."""
    files: list[Path] = []
    hash_file = digests.sha256_of

    def counting(path: Path) -> str:
        files.append(path)
        return hash_file(path)

    monkeypatch.setattr(digests, "sha256_of", counting)
    return files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Holds abc, for longer than a tick of the file system's clock."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    time.sleep(SETTLED_SECONDS)
    return path


def test_a_file_is_hashed_once(file: Path, hashed: list[Path]):
    assert [digest_of(file), digest_of(file), digest_of(file)] == [ABC_SHA256] * 3
    assert hashed == [file]


def test_a_forgotten_file_is_hashed_once_more(file: Path, hashed: list[Path], tmp_path: Path):
    other = tmp_path / "other"
    other.write_bytes(b"abd")
    remember(other, ABD_SHA256)
    digest_of(file)
    forget([file])
    assert [digest_of(file), digest_of(file), digest_of(other)] == [ABC_SHA256, ABC_SHA256, ABD_SHA256]
    assert hashed == [file, file]


def test_a_file_is_forgotten_by_its_link(file: Path, hashed: list[Path], tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(file)
    digest_of(file)
    forget(iter([link]))
    digest_of(file)
    assert hashed == [file, file]


def test_forgetting_finds_a_change_that_stat_does_not_report(file: Path):
    file.write_bytes(b"abd")
    remember(file, ABC_SHA256)  # as after a disk fault: the bytes are others, the status is the same
    assert digest_of(file) == ABC_SHA256
    forget([file])
    assert digest_of(file) == ABD_SHA256


def test_forgetting_what_is_not_remembered_changes_nothing(file: Path, tmp_path: Path, digest_memory: Path):
    forget([file, tmp_path / "missing"])
    assert not digest_memory.exists()
    digest_of(file)
    before = digest_memory.read_bytes()
    forget([tmp_path / "missing"])
    assert digest_memory.read_bytes() == before


def test_forgetting_is_an_error_where_the_memory_cannot_be_written(file: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    digest_of(file)
    monkeypatch.setattr(digests, "write_bytes_atomically", refuse)
    with pytest.raises(PermissionError):
        forget([file])


def test_concurrent_writers_lose_nothing(tmp_path: Path, digest_memory: Path):
    files = [tmp_path / f"file-{number}" for number in range(40)]
    for path in files:
        path.write_bytes(b"abc")
    with ThreadPoolExecutor(8) as pool:  # each opens the lock by itself, as a process does
        list(pool.map(lambda path: remember(path, ABC_SHA256), files))
    assert sorted(json.loads(digest_memory.read_text())) == sorted(map(str, files))


def test_a_link_shares_the_digest_of_what_it_points_at(file: Path, hashed: list[Path], tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(file)
    assert digest_of(link) == digest_of(file) == ABC_SHA256
    assert hashed == [file]


def test_a_link_that_points_elsewhere_now_is_another_file(file: Path, hashed: list[Path], tmp_path: Path):
    link, other = tmp_path / "link", tmp_path / "other"
    link.symlink_to(file)
    digest_of(link)
    other.write_bytes(b"abd")
    link.unlink()
    link.symlink_to(other)
    assert digest_of(link) == ABD_SHA256


def test_a_changed_file_is_hashed_again(file: Path, hashed: list[Path]):
    digest_of(file)
    file.write_bytes(b"abd")
    assert digest_of(file) == ABD_SHA256


def test_a_change_whose_time_was_set_back_is_noticed(file: Path, hashed: list[Path]):
    digest_of(file)
    before = file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert digest_of(file) == ABD_SHA256


def test_another_file_of_the_same_times_and_size_is_noticed(file: Path, hashed: list[Path], tmp_path: Path):
    digest_of(file)
    before = file.stat()
    other = tmp_path / "other"
    other.write_bytes(b"abd")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, file)
    assert digest_of(file) == ABD_SHA256


@pytest.mark.parametrize("field", ["size_bytes", "modified_ns", "changed_ns", "inode", "device"])
def test_any_one_difference_is_enough(field: str, file: Path, hashed: list[Path], digest_memory: Path):
    digest_of(file)
    memory = json.loads(digest_memory.read_text())
    memory[str(file)][field] += 1
    digest_memory.write_text(json.dumps(memory))
    digest_of(file)
    assert hashed == [file, file]


def test_what_changed_in_the_same_tick_is_not_remembered(
    file: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch, digest_memory: Path
):
    monkeypatch.setattr(digests.time, "time_ns", lambda: file.stat().st_ctime_ns + TICK_NS)
    digest_of(file)
    assert not digest_memory.exists()


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(
    file: Path, monkeypatch: pytest.MonkeyPatch, digest_memory: Path
):
    def hash_and_change(path: Path) -> str:
        path.write_bytes(b"abcd")
        return ABC_SHA256

    monkeypatch.setattr(digests, "sha256_of", hash_and_change)
    digest_of(file)
    assert not digest_memory.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[]", b'{"/a": 1}', b'{"/a": {"sha256": "x"}}'])
def test_an_unreadable_memory_is_ignored_and_written_anew(
    content: bytes, file: Path, hashed: list[Path], digest_memory: Path
):
    digest_memory.write_bytes(content)
    assert [digest_of(file), digest_of(file)] == [ABC_SHA256] * 2
    assert hashed == [file]


def test_a_memory_that_cannot_be_written_costs_hashing_and_no_error(
    file: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(digests, "memory_path", lambda: file / "below_a_file" / "digests.json")
    assert [digest_of(file), digest_of(file)] == [ABC_SHA256] * 2
    assert hashed == [file, file]


def test_files_that_are_gone_are_forgotten(file: Path, tmp_path: Path, digest_memory: Path):
    other = tmp_path / "other"
    other.write_bytes(b"abd")
    remember(other, ABD_SHA256)
    other.unlink()
    digest_of(file)
    assert list(json.loads(digest_memory.read_text())) == [str(file)]


def test_the_memory_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path, digest_memory: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert REAL_MEMORY_PATH() == tmp_path / "atlas" / "digests.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert REAL_MEMORY_PATH() == tmp_path / "home" / ".cache" / "atlas" / "digests.json"
    digest_of(file)
    assert not stat.S_IMODE(digest_memory.stat().st_mode) & stat.S_IWOTH


def pinned(sha256: str) -> Spec:
    return Spec.model_validate(with_field(content_of("sam_vit_base"), ("weights", "files", 0, "sha256"), sha256))


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    time.sleep(SETTLED_SECONDS)
    return path


def test_weights_are_hashed_at_the_first_run_and_not_at_the_next(checkpoint: Path, hashed: list[Path]):
    for _ in range(3):
        require_weights(pinned(ABC_SHA256))
    assert hashed == [checkpoint]
    forget_digests(pinned(ABC_SHA256))
    require_weights(pinned(ABC_SHA256))
    verify_weights(pinned(ABC_SHA256))
    assert hashed == [checkpoint] * 3


def test_weights_that_rot_silently_are_found_by_verifying(
    checkpoint: Path, hashed: list[Path], digest_memory: Path, monkeypatch: pytest.MonkeyPatch
):
    require_weights(pinned(ABC_SHA256))
    checkpoint.write_bytes(b"abd")  # as a disk rots: stat does not tell
    remember(checkpoint, ABC_SHA256)
    require_weights(pinned(ABC_SHA256))
    assert [report.status for report in verify_weights(pinned(ABC_SHA256))] == ["ok", "wrong"]


def test_the_projects_own_weights_are_remembered_across_runs(hashed: list[Path]):
    for _ in range(2):
        require_weights(project_spec("efficientnet_lite0"))
    assert len(hashed) == 1
