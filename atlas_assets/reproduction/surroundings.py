"""What is other now than when a run was sealed: packages, Python, device, accelerator, code."""

from collections.abc import Mapping

from atlas_resources.plates.records.reproduction import Change
from atlas_resources.plates.run_contracts import CodeVersion, Environment

OF_ONE_CARD = {"index", "uuid", "memory_bytes"}
"""What tells two cards of one kind apart; it changes no number."""
OF_ONE_SERVER = {"command", "endpoint", "host", "process_id", "started_at", "notes"}
"""What tells two starts of one server apart; its program, version, flags and files are compared."""


INSTALLED = "packages."
"""Prefix of the packages. One without a version was not installed."""


def changes_since(
    sealed: tuple[Environment, CodeVersion], present: tuple[Environment | None, CodeVersion]
) -> list[Change]:
    """What differs, in the order of the manifest. Without a present environment, only the code is compared.

    What the run did not record, because it was sealed before that was kept, is not known to differ.
    """
    before, after = _flat(*sealed), _flat(*present)
    if present[0] is None:
        before = {name: value for name, value in before.items() if name.startswith("code.")}
    names = dict.fromkeys([*before, *after])
    return [
        Change(name=name, sealed=before.get(name), present=after.get(name))
        for name in names
        if before.get(name) != after.get(name) and (name in before or name.startswith(INSTALLED))
    ]


def _flat(environment: Environment | None, code: CodeVersion) -> dict[str, str]:
    """Everything that is recorded, by dotted names; what is null is left out."""
    nested = (
        environment.model_dump(exclude={"accelerator": OF_ONE_CARD, "server": OF_ONE_SERVER}) if environment else {}
    )
    return dict(_leaves(nested | {"code": code.model_dump()}))


def _leaves(nested: Mapping, prefix: str = "") -> list[tuple[str, str]]:
    leaves = []
    for name, value in nested.items():
        if isinstance(value, Mapping):
            leaves += _leaves(value, f"{prefix}{name}.")
        elif value is not None:
            leaves.append((f"{prefix}{name}", str(value)))
    return leaves
