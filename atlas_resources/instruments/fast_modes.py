"""How near a mode must be to float32 to be used, and how near a repeated run in a mode must be to the sealed one."""

import hashlib
import json
import math

from atlas_resources.instruments.spec.numeric import Numeric, Tolerance, mode_of, pinned_modes
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm

MIN_COSINE = 0.999
EXACT_TOLERANCE = Tolerance(relative=1e-4, score=1e-4, box_px=0.5, pixel_share=0.01, delta_e=1.0)
"""Of float32 on another processor or with another version of a library; why, is in decision 0055."""
FAST_TOLERANCE = EXACT_TOLERANCE.model_copy(update={"relative": math.sqrt(2 * (1 - MIN_COSINE)), "score": 0.01})
"""A fast mode may be as far from itself as from float32: vectors of one length and this cosine differ by that much."""
TESTED_ROLES = ("embedding", "probe")  # these have a vector or a row of logits to compare


def is_fast(numeric: Numeric | None) -> bool:
    """Whether the mode rounds more than float32 does, or a compiler chooses how it rounds."""
    return numeric is not None and (
        numeric.dtype != "float32" or numeric.matmul_precision in {"high", "medium"} or numeric.compile is not None
    )


def tolerance_of(numeric: Numeric | None) -> Tolerance:
    """How far a repeated run in this mode may be from the sealed one: the limits of the mode, or those it declares."""
    limits = FAST_TOLERANCE if is_fast(numeric) else EXACT_TOLERANCE
    own = numeric.tolerance if numeric else None
    return Tolerance.model_validate({**limits.model_dump(), **(own or {})})


def exact_twin(spec: Spec) -> Spec:
    """The same instrument in float32 on the same device, not compiled. Raises ValueError if no mode is declared."""
    if spec.numeric is None:
        raise ValueError(f"{spec.key}: numeric is not declared; see `atlas models check`")
    exact = {"dtype": "float32", "matmul_precision": "highest", "attention": None, "compile": None, "golden": None}
    return spec.model_copy(update={"numeric": spec.numeric.model_copy(update=exact)})


def golden_subject(spec: Spec) -> str:
    """sha256 over what the figure depends on: weights, preprocessing, parameters, loader and mode.

    The fingerprint also covers the loader's version and the labels of an output.
    """
    files = [] if spec.weights is None or isinstance(spec.weights, Algorithm) else spec.weights.files
    payload = {
        "weights": {file.path: file.sha256 for file in files},
        "preprocessing": spec.preprocessing and spec.preprocessing.steps(),
        "parameters": spec.parameters,
        "loader": spec.loader,
        "role": spec.role,
        "numeric": spec.numeric and mode_of(spec.numeric),
    }
    if modes := pinned_modes(spec.numeric):
        payload["modes"] = modes
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def too_far(spec: Spec) -> str | None:
    """Why a fast mode is refused, with the figure. None if it is near enough, or was not measured in this form."""
    golden = spec.numeric and spec.numeric.golden
    if golden is None or golden.subject != golden_subject(spec) or golden.cosine_min >= MIN_COSINE:
        return None
    return (
        f"numeric: {mode_name(spec.numeric)} gives cosine {golden.cosine_min:.6f} to float32 on {golden.farthest}, the "
        f"farthest of {golden.plates} golden plates; expected at least {MIN_COSINE}"
    )


def has_golden_test(spec: Spec) -> bool:
    """Whether the golden test can compare the instrument: it gives vectors or logits of pixels."""
    return spec.role in TESTED_ROLES and not spec.upstream


def missing_golden(spec: Spec) -> list[str]:
    """What a fast mode still lacks before it may run. Text and generated images have no cosine and lack nothing."""
    if not is_fast(spec.numeric) or spec.role in {"text", "generative"}:
        return []
    mode = mode_name(spec.numeric)
    if not has_golden_test(spec):
        return [f"numeric: {mode} has no golden test for this kind of {spec.role}; declare plain float32"]
    golden = spec.numeric and spec.numeric.golden
    fix = f"run `atlas models golden {spec.key}`"
    if golden is None:
        return [f"numeric: {mode} has no golden test yet; {fix}"]
    if golden.subject != golden_subject(spec):
        return [f"numeric: the golden test of {mode} was of other weights, preprocessing or mode; {fix}"]
    reason = too_far(spec)
    return [reason] if reason else []


def mode_name(numeric: Numeric | None) -> str:
    """`bfloat16`, or `float32 with medium matmul precision, compiled by inductor`."""
    if numeric is None:
        return "undeclared"
    precision = f" with {numeric.matmul_precision} matmul precision" if numeric.matmul_precision else ""
    return numeric.dtype + precision + (f", compiled by {numeric.compile}" if numeric.compile else "")
