"""What an earlier stage answered, and how a question takes it in."""

import polars as pl

from atlas_assets.roles.declared import sealed_rows
from atlas_resources.instruments.prompts import PLACEHOLDER, AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.upstream import SealedResult


class NothingToFillIn(LookupError):
    """A question takes in an earlier answer, and the earlier stage has none that is usable."""


def earlier_answers(spec: Spec, plate: Plate, upstream: SealedResult | None) -> dict[str, str]:
    """The usable texts that the upstream instrument sealed of the whole plate, by form.

    Usable are answers with the status `done`, and lines that were read and are not below their instrument's threshold.
    Several are joined by spaces, in their order.

    Raises:
        NothingToFillIn: there is no usable text.
    """
    rows = sealed_rows(spec, plate, upstream).filter(pl.col("scope") != "segment")
    is_answer = pl.col("attempt").is_not_null() & pl.col("raw_text").is_not_null()
    is_line = pl.col("attempt").is_null() & pl.col("is_above_threshold").fill_null(True)
    usable = rows.filter(pl.when(is_answer).then(pl.col("status") == "done").otherwise(is_line))
    texts: dict[str, list[str]] = {}
    for form, text in usable.select("form", "text").iter_rows():
        texts.setdefault(form, []).append(" ".join(text.split()))
    found = {form: " ".join(parts) for form, parts in texts.items() if any(parts)}
    if not found:
        statuses = ", ".join(sorted({status for status in rows["status"] if status})) or "no text"
        raise NothingToFillIn(
            f"{plate.id}: expected a usable text of {spec.upstream}, found {statuses}. Fix: declare more tokens or "
            f"another question for {spec.upstream}; the changed instrument is measured again, and then {spec.key}"
        )
    return found


def filled_in(prompt: AskedPrompt, earlier: dict[str, str]) -> str:
    """The prompt's text with `{form}` replaced by the earlier answer of that form, once: an answer is data.

    Raises:
        NothingToFillIn: the prompt names a form that no earlier stage has answered.
    """
    if missing := sorted(set(PLACEHOLDER.findall(prompt.text)) - earlier.keys()):
        raise NothingToFillIn(
            f"prompt {prompt.set} v{prompt.version} {prompt.id}: expected earlier answers of the forms "
            f"{', '.join(missing)}, found {', '.join(earlier) or 'none'}"
        )
    return PLACEHOLDER.sub(lambda found: earlier[found[1]], prompt.text)
