"""What differs in environment and code between a sealed run and its repetition."""

from atlas_assets.reproduction.surroundings import changes_since
from atlas_resources.plates.run_contracts import Accelerator, CodeVersion, Environment

CODE = CodeVersion(project="1.0", git_sha="a" * 40, is_dirty=False)
CARD = Accelerator(
    name="H100", index=0, uuid="GPU-1", capability="9.0", memory_bytes=80, driver="580", cuda="13.0", cudnn=9,
    modes={"cudnn.benchmark": False},
)  # fmt: skip


def environment(**changes) -> Environment:
    content = {"python": "3.11.7", "os": "Linux", "device": "cpu", "dtype": "float32", "packages": {"torch": "2.3"}}
    return Environment.model_validate({**content, **changes})


def changed(before: Environment, after: Environment | None, code: CodeVersion = CODE) -> list[tuple]:
    return [(one.name, one.sealed, one.present) for one in changes_since((before, CODE), (after, code))]


def test_the_same_is_no_change():
    assert changed(environment(cpu="A", threads=2), environment(cpu="A", threads=2)) == []


def test_packages_python_threads_and_code_are_named():
    after = environment(python="3.11.9", packages={"torch": "2.4", "timm": "1.0"}, threads=1)
    assert changed(environment(threads=2), after, CODE.model_copy(update={"git_sha": "b" * 40})) == [
        ("python", "3.11.7", "3.11.9"),
        ("packages.torch", "2.3", "2.4"),
        ("threads", "2", "1"),
        ("code.git_sha", "a" * 40, "b" * 40),
        ("packages.timm", None, "1.0"),
    ]


def test_what_an_older_run_did_not_record_is_not_known_to_differ():
    assert changed(environment(), environment(cpu="A", threads=2)) == []


def test_two_cards_of_one_kind_are_the_same_and_another_driver_is_not():
    other = CARD.model_copy(update={"uuid": "GPU-2", "index": 3, "driver": "590"})
    assert changed(environment(accelerator=CARD), environment(accelerator=other)) == [
        ("accelerator.driver", "580", "590")
    ]


def test_without_a_repetition_only_the_code_is_compared():
    assert changed(environment(), None, CODE.model_copy(update={"is_dirty": True})) == [
        ("code.is_dirty", "False", "True")
    ]
