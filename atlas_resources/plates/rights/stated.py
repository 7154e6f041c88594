"""The rights of a plate, from its present manifest: the licence, and the further columns of its index."""

import re
from dataclasses import dataclass

from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.rights.licences import CommercialUse, commercial_use, strictest
from atlas_resources.plates.rights.uris import rights_uri

# Names of columns, without case, spaces, underscores, hyphens, dots and colons.
RIGHTS_COLUMNS = frozenset({
    "licence", "license", "rights", "rightsstatement", "rightsstatements", "rightsuri", "rightsurl", "licenceurl",
    "licenseurl", "licenceuri", "licenseuri", "usageterms", "webstatement", "termsofuse", "dctermsrights",
    "dctermslicense", "edmrights", "dcrights",
})  # fmt: skip
ATTRIBUTION_COLUMNS = (
    "attribution", "attributiontext", "requiredattribution", "credit", "creditline", "credits", "courtesy", "byline",
)  # fmt: skip
NO_AI_COLUMNS = frozenset({
    "noai", "noimageai", "noaitraining", "aioptout", "optoutai", "noml", "notdm", "tdmoptout",
    "tdmreservation", "tdmreserved",
})  # fmt: skip
"""Columns that reserve the plate from machine learning or from text and data mining (TDMRep: tdm-reservation)."""
DATA_MINING_COLUMNS = frozenset({"datamining", "plusdatamining"})
"""The property DataMining of PLUS and IPTC: http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED... forbids."""
NO_AI_TOKENS = frozenset({"noai", "noimageai", "noml"})
"""Values of robots tags, wherever a column states them."""
NOT_RESERVED = frozenset({"", "0", "no", "false", "none", "n", "f", "unspecified", "allowed"})


@dataclass(frozen=True)
class Rights:
    """What is stated about a plate.

    Attributes:
        licence: as its index states it; None if it does not.
        uri: of Creative Commons or RightsStatements.org; None if no column has one or a name of one.
        attribution: who has to be named.
        commercial_use: whether the licence allows it; the strictest of several statements.
        no_ai: the column and value that reserve it from machine learning; None if none does.
    """

    licence: str | None
    uri: str | None
    attribution: str | None
    commercial_use: CommercialUse
    no_ai: str | None


def rights_of(manifest: PlateManifest) -> Rights:
    """The rights that a plate's manifest states."""
    columns = {spelled(name): str(content) for name, content in reversed(manifest.extra.items())}
    texts = [manifest.license or "", *(columns[name] for name in sorted(RIGHTS_COLUMNS & columns.keys()))]
    uris = [uri for text in texts if (uri := rights_uri(text))]
    return Rights(
        manifest.license,
        uris[0] if uris else None,
        next((columns[name] for name in ATTRIBUTION_COLUMNS if columns.get(name)), None),
        strictest([commercial_use(text) for text in texts if text]),
        _no_ai(manifest),
    )


def _no_ai(manifest: PlateManifest) -> str | None:
    stated = {"licence": manifest.license or "", **{name: str(content) for name, content in manifest.extra.items()}}
    for name, content in stated.items():
        column, text = spelled(name), content.strip().casefold()
        is_mining = column in DATA_MINING_COLUMNS and "prohibited" in text
        is_reserved = column in NO_AI_COLUMNS and text not in NOT_RESERVED
        if is_mining or is_reserved or NO_AI_TOKENS & set(re.split(r"[\s,;]+", text)):
            return f"{name}: {content.strip()}"[:200]
    return None


def spelled(column: str) -> str:
    """A column's name as in the tables above."""
    return re.sub(r"[\s_.:-]", "", column).casefold()
