"""The keys of a dataset in a store. Files of plates, runs and logs have the paths that they have in the dataset.

Besides them: `sealed/` has the manifest of each complete run under a number, which decides who sealed a plate;
`claims/` has leases; `reserved/` has run ids; `published/` has catalogues, and which of them is the present one.
"""

import re

from atlas_resources.plates.run_contracts import RunManifest

PLATES = "plates_structured"
RUN_MANIFEST = "run.manifest.json"
CURRENT = "published/current.json"
RUN_KEY = re.compile(rf"{PLATES}/([^/]+)/runs/(run-[^/]+)/([^/]+)")
PLATE_KEY = re.compile(rf"{PLATES}/([^/]+)/(manifest\.json|source\.sha256|manifests/[^/]+|derived/[^/]+|source/[^/]+)")
DIGITS = 16
"""Of a fingerprint and of a source's digest, in a key."""


def plate_key(plate_id: str, path: str = "") -> str:
    """The key of a file in a plate's folder, or the prefix of all of them."""
    return f"{PLATES}/{plate_id}/{path}"


def claim_key(plate_id: str, key: str) -> str:
    """The lease on a plate for an instrument."""
    return f"claims/{plate_id}/{key}.json"


def sealed_prefix(fingerprint: str) -> str:
    """The prefix of the complete runs of an instrument's version."""
    return f"sealed/{fingerprint[:DIGITS]}/"


def sealed_key(fingerprint: str, plate_id: str, source_sha256: str, number: int) -> str:
    """The key of the `number`-th complete run of a plate by an instrument's version on one source, from 1."""
    return f"{sealed_prefix(fingerprint)}{plate_id}/{source_sha256[:DIGITS]}-{number:06d}.json"


def sealed_key_of(manifest: RunManifest, number: int) -> str:
    """The same of a manifest."""
    return sealed_key(manifest.instrument.fingerprint, manifest.plate_id, manifest.source_sha256, number)


def log_key(folder: str, number: int) -> str:
    """An entry of an append-only log. Its number alone decides who appended it."""
    return f"{folder}/{number:06d}.json"
