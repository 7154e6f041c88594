"""Command lines and environments of the programs that serve: loopback, pinned files, declared numbers, no secrets."""

from pathlib import Path

import pytest

from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.serving.programs import PROGRAMS, Launch, environment_of

NUMERIC = Numeric(dtype="bfloat16", device="cuda")


def launch(folder: Path, **changes) -> Launch:
    facts = {
        "executable": "/opt/bin/program", "folder": folder, "port": 8123, "model_name": "Qwen/Qwen2-VL-2B-Instruct",
        "numeric": NUMERIC, "flags": {"max-model-len": 8192, "enforce-eager": True}, "template": folder / "t.jinja",
    }  # fmt: skip
    return Launch(**{**facts, **changes})


def words_after(command: list[str], *names: str) -> list[str]:
    return [command[command.index(name) + 1] for name in names]


def test_vllm_reads_the_pinned_folder_and_template_and_no_defaults_of_the_snapshot(tmp_path: Path):
    command = PROGRAMS["vllm"].command(launch(tmp_path))
    assert command[:3] == ["/opt/bin/program", "serve", str(tmp_path)]
    assert words_after(command, "--host", "--port", "--served-model-name", "--dtype", "--generation-config") == [
        "127.0.0.1", "8123", "Qwen/Qwen2-VL-2B-Instruct", "bfloat16", "vllm",
    ]  # fmt: skip
    assert words_after(command, "--chat-template") == [str(tmp_path / "t.jinja")]
    assert command[-3:] == ["--max-model-len", "8192", "--enforce-eager"]


def test_lmdeploy_has_other_names_for_the_same(tmp_path: Path):
    command = PROGRAMS["lmdeploy"].command(launch(tmp_path, flags={}))
    assert command[1:4] == ["serve", "api_server", str(tmp_path)]
    assert words_after(command, "--server-name", "--server-port", "--model-name", "--dtype") == [
        "127.0.0.1", "8123", "Qwen/Qwen2-VL-2B-Instruct", "bfloat16",
    ]  # fmt: skip


def test_transformers_is_told_a_name_which_it_finds_in_a_cache_of_the_pinned_files(tmp_path: Path):
    command = PROGRAMS["transformers"].command(launch(tmp_path, flags={}))
    assert command[1:3] == ["serve", "Qwen/Qwen2-VL-2B-Instruct"]
    assert words_after(command, "--host", "--port", "--dtype", "--device") == ["127.0.0.1", "8123", "bfloat16", "cuda"]
    assert PROGRAMS["transformers"].layout == "hub_cache"


def test_llama_cpp_has_a_file_of_the_network_and_one_of_its_projector(tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected one pinned file \*\.gguf that is no mmproj, found 0"):
        PROGRAMS["llama-cpp"].command(launch(tmp_path))
    (tmp_path / "model-Q4.gguf").touch()
    (tmp_path / "mmproj-model-f16.gguf").touch()
    command = PROGRAMS["llama-cpp"].command(launch(tmp_path))
    assert words_after(command, "--model", "--mmproj") == [
        str(tmp_path / "model-Q4.gguf"), str(tmp_path / "mmproj-model-f16.gguf"),
    ]  # fmt: skip
    assert words_after(command, "--host", "--alias") == ["127.0.0.1", "Qwen/Qwen2-VL-2B-Instruct"]


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_no_program_runs_code_of_a_repository(name: str, tmp_path: Path):
    (tmp_path / "model.gguf").touch()
    (tmp_path / "mmproj.gguf").touch()
    command = PROGRAMS[name].command(launch(tmp_path))
    assert not [word for word in command if "trust" in word]
    assert "0.0.0.0" not in command  # noqa: S104 - that it does not bind there is the claim


def test_a_program_is_offline_and_gets_no_keys_and_no_proxies():
    given = {
        "HF_TOKEN": "a", "ATLAS_SERVER_API_KEY": "b", "OPENAI_API_KEY": "c", "HTTPS_PROXY": "d", "https_proxy": "e",
        "AWS_SECRET_ACCESS_KEY": "f", "PYTHONPATH": "g", "PATH": "/usr/bin", "CUDA_VISIBLE_DEVICES": "1",
    }  # fmt: skip
    found = environment_of(PROGRAMS["vllm"], "/opt/vllm/bin/vllm", given)
    assert found["PATH"] == "/opt/vllm/bin:/usr/bin"
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    assert (found["HF_HUB_OFFLINE"], found["DO_NOT_TRACK"], found["VLLM_NO_USAGE_STATS"]) == ("1", "1", "1")
    assert not set(found.values()) & set("abcdefg")
