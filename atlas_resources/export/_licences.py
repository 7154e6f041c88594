"""Addresses of licences."""

import re

SPDX_ID = re.compile(r"(?!LicenseRef-)[A-Za-z0-9.+-]+")


def spdx_address(stated: str) -> str | None:
    """The page of a licence that an instrument's spec states by its SPDX id; None for an expression, and if unknown."""
    if stated == "unknown" or not SPDX_ID.fullmatch(stated):
        return None
    return f"https://spdx.org/licenses/{stated}.html"
