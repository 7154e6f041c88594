"""A declared numeric mode is in force while a model loads and computes, and is restored afterwards."""

import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_checkpoints import SIDE_PX, clip_vision, put_in_hub_cache
from support.made_instruments import MINIATURES
from support.made_specs import content_of, project_spec, with_field, write_spec

from atlas_assets.cli.models.golden_measurement import cosines
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.numeric import Numeric, switches_of
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models import loading as inference
from atlas_resources.models._numeric_modes import VERBS, in_mode, numeric_mode
from atlas_resources.models.loaders._narrow_weights import narrowed
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder, Scorer

BFLOAT16 = Numeric(dtype="bfloat16", device="cpu")
MEDIUM = Numeric(dtype="float32", device="cpu", matmul_precision="medium")
PLAIN = Numeric(dtype="float32", device="cpu")
CUDA = Numeric(dtype="float32", device="cuda")


def product_dtype() -> torch.dtype:
    """The dtype of a product of two float32 matrices."""
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(
    ("numeric", "dtype", "precision"),
    [(BFLOAT16, torch.bfloat16, "highest"), (MEDIUM, torch.float32, "medium"), (PLAIN, torch.float32, "highest")],
)
def test_a_mode_is_in_force_inside_the_block_only(numeric: Numeric, dtype: torch.dtype, precision: str):
    with numeric_mode(numeric):
        assert (product_dtype(), torch.get_float32_matmul_precision()) == (dtype, precision)
    assert (product_dtype(), torch.get_float32_matmul_precision()) == (torch.float32, "highest")


def test_a_mode_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), numeric_mode(BFLOAT16), numeric_mode(MEDIUM):
        _ = 1 / 0
    assert (product_dtype(), torch.get_float32_matmul_precision()) == (torch.float32, "highest")


@pytest.mark.parametrize(("precision", "may_round"), [("highest", False), ("high", True), ("medium", True)])
def test_a_declared_matmul_precision_holds_for_convolutions_too(precision: str, may_round: bool):
    before = torch.backends.cudnn.allow_tf32
    with numeric_mode(MEDIUM.model_copy(update={"matmul_precision": precision})):
        assert torch.backends.cudnn.allow_tf32 is may_round
    assert torch.backends.cudnn.allow_tf32 is before


def of(path: str) -> object:
    return attrgetter(path)(torch.backends)


@pytest.fixture
def careless():
    """A process in which other code has allowed every rounding, by torch's newer switches."""
    backends: Any = torch.backends
    backends.fp32_precision = "tf32"
    backends.cudnn.benchmark = True
    yield
    backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    backends.cuda.matmul.fp32_precision = backends.mkldnn.matmul.fp32_precision = "none"
    backends.mkldnn.conv.fp32_precision = "none"
    backends.cudnn.allow_tf32 = True
    backends.cudnn.benchmark = False


@pytest.mark.parametrize("precision", [None, "highest"])
def test_float32_on_cuda_rounds_nowhere_and_is_deterministic(careless, precision: str | None):
    numeric = CUDA.model_copy(update={"matmul_precision": precision})
    with numeric_mode(numeric):
        found = {path: of(path) for path in switches_of(numeric)}
        assert found == switches_of(numeric)
        assert {value for path, value in found.items() if path.endswith("fp32_precision")} == {"ieee"}
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_every_switch_is_as_it_was_after_a_mode_on_cuda(careless):
    before = {path: of(path) for path in switches_of(CUDA)}
    with pytest.raises(ZeroDivisionError), numeric_mode(CUDA):
        _ = 1 / 0
    assert {path: of(path) for path in switches_of(CUDA)} == before
    assert before["cudnn.benchmark"] is True
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_tf32_is_allowed_only_where_it_is_declared(precision: str):
    with numeric_mode(CUDA.model_copy(update={"matmul_precision": precision})):
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == precision


def test_plain_float32_on_the_cpu_ignores_what_other_code_has_allowed(careless):
    torch.set_float32_matmul_precision("medium")
    with numeric_mode(PLAIN):
        assert torch.get_float32_matmul_precision() == "highest"
        assert of("mkldnn.conv.fp32_precision") == "ieee"
    assert torch.get_float32_matmul_precision() == "medium"


def test_a_mode_for_the_cpu_does_not_make_it_deterministic_by_other_algorithms():
    with numeric_mode(BFLOAT16):
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_compiler_for_cuda_chooses_no_kernel_by_its_time():
    import torch._inductor.config as settings

    before = settings.deterministic
    with numeric_mode(CUDA.model_copy(update={"compile": "inductor"})):
        assert settings.deterministic is True
    assert settings.deterministic is before


def test_torch_is_not_imported_for_plain_float32():
    code = (
        "import sys\n"
        "from atlas_resources.instruments.spec.numeric import Numeric\n"
        "from atlas_resources.models._numeric_modes import numeric_mode\n"
        "with numeric_mode(Numeric(dtype='float32', device='cpu')): pass\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_only_the_verbs_of_a_model_compute_in_its_mode():
    class Model:
        def embed(self) -> torch.dtype:
            return product_dtype()

        def name(self) -> torch.dtype:
            return product_dtype()

    model = in_mode(Model(), BFLOAT16)
    assert (model.embed(), model.embed(), model.name()) == (torch.bfloat16, torch.bfloat16, torch.float32)


def test_every_verb_of_every_protocol_computes_in_its_mode():
    kinds = [kind for kind in vars(inference).values() if getattr(kind, "_is_protocol", False) and kind is not Protocol]
    verbs = {name for kind in kinds for name, value in vars(kind).items() if callable(value) and name[0] != "_"}
    assert verbs >= {"embed", "score", "segment"}
    assert verbs <= set(VERBS)


def tiny_clip(folder: Path, patch: pytest.MonkeyPatch, numeric: Numeric) -> Spec:
    spec = put_in_hub_cache(clip_vision(), project_spec("clip_vit_base_patch32"), folder / "hub", patch)
    return spec.model_copy(update={"numeric": numeric})


def embed(spec: Spec) -> np.ndarray:
    model = load_model(spec)
    assert isinstance(model, Embedder)
    return model.embed(torch.rand(4, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(1)))


def test_a_loaded_model_gives_float32_vectors_computed_in_bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """bfloat16 keeps 8 bits of a number: a relative step of 2**-8 for each rounding, here over two layers."""
    exact = embed(tiny_clip(tmp_path, monkeypatch, PLAIN))
    fast = embed(tiny_clip(tmp_path, monkeypatch, BFLOAT16))
    assert (exact.dtype, fast.dtype) == (np.float32, np.float32)
    apart = np.linalg.norm(exact - fast, axis=1) / np.linalg.norm(exact, axis=1)
    assert (apart > 1e-4).all()
    assert (apart < 0.05).all()


# torch 2.14 says that it takes the slower way where autocast gives AIMv2's RMS norm two types.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@pytest.mark.parametrize("name", MINIATURES)
def test_every_loader_returns_float32_whatever_it_computes_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of a probe also the scores, which sum to 1 as they would not after rounding to 8 bits."""
    spec = MINIATURES[name](tmp_path, monkeypatch).spec
    assert spec.preprocessing is not None
    preprocess = build_preprocess(spec.preprocessing)
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8))
    exact, fast = (computed(load_model(with_mode(spec, mode)), preprocess(image)[None]) for mode in (PLAIN, BFLOAT16))
    assert all(array.dtype == np.float32 for array in fast)
    assert not np.array_equal(exact[0], fast[0])
    assert cosines(exact[0], fast[0])[0] > 0.99
    if spec.role == "probe" and fast[1].shape[1] > 1:
        assert fast[1].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@pytest.mark.parametrize("name", MINIATURES)
def test_narrow_weights_give_what_autocast_gives_of_wide_ones(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Equal bit by bit: autocast casts the same weights to the same type at each call."""
    spec = MINIATURES[name](tmp_path, monkeypatch).spec
    assert spec.preprocessing is not None
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8))
    batch = build_preprocess(spec.preprocessing)(image)[None]
    narrow, wide = load_model(with_mode(spec, BFLOAT16)), load_model(with_mode(spec, PLAIN))
    assert torch.bfloat16 in dtypes_of(narrow)
    assert dtypes_of(wide) == {torch.float32}
    verb = "score" if isinstance(wide, Scorer) else "embed"
    with numeric_mode(BFLOAT16):
        expected = getattr(type(wide), verb)(wide, batch)  # the class's own, which is in no mode
    assert all(np.array_equal(*pair) for pair in zip(computed(narrow, batch), computed_as(expected), strict=True))


def dtypes_of(model: Any) -> set[torch.dtype]:
    return {weight.dtype for weight in model.network.parameters()}


def computed_as(found: Any) -> tuple[np.ndarray, ...]:
    return found if isinstance(found, tuple) else (found,)


def test_a_weight_that_another_layer_shares_stays_wide():
    """As where an output layer is tied to the table of words, which is not cast by autocast."""
    words = torch.nn.Embedding(4, 3)
    tied, plain = torch.nn.Linear(3, 4, bias=False), torch.nn.Linear(3, 4)
    tied.weight = words.weight
    narrowed(torch.nn.Sequential(words, tied, plain), with_mode(project_spec("dinov2_base"), BFLOAT16))
    assert (words.weight.dtype, plain.weight.dtype, plain.bias.dtype) == (torch.float32, *[torch.bfloat16] * 2)


def test_weights_are_float32_where_no_narrow_type_is_declared():
    plain = narrowed(torch.nn.Linear(3, 4), with_mode(project_spec("dinov2_base"), MEDIUM))
    assert {weight.dtype for weight in plain.parameters()} == {torch.float32}


def with_mode(spec: Spec, numeric: Numeric) -> Spec:
    return spec.model_copy(update={"numeric": numeric})


def computed(model: object, batch: torch.Tensor) -> tuple[np.ndarray, ...]:
    if isinstance(model, Scorer):
        return model.score(batch)
    assert isinstance(model, Embedder)
    return (model.embed(batch),)


@pytest.mark.parametrize(("attention", "found"), [(None, "sdpa"), ("sdpa", "sdpa"), ("eager", "eager")])
def test_a_declared_attention_kernel_is_the_networks(
    attention: str | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    numeric = PLAIN.model_copy(update={"attention": attention})
    model = load_model(tiny_clip(tmp_path, monkeypatch, numeric))
    assert model.network.config._attn_implementation == found  # type: ignore[union-attr] # the loader's own attribute


def test_the_kernels_of_attention_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kernels = [PLAIN.model_copy(update={"attention": name}) for name in ("eager", "sdpa")]
    eager, sdpa = (embed(tiny_clip(tmp_path, monkeypatch, numeric)) for numeric in kernels)
    assert sdpa == pytest.approx(eager, rel=1e-4, abs=1e-5)


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own use of torch
def test_a_compiled_network_gives_the_vectors_of_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The compiler fuses operations, so the last digits may differ."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    plain = embed(tiny_clip(tmp_path, monkeypatch, PLAIN))
    spec = tiny_clip(tmp_path, monkeypatch, PLAIN.model_copy(update={"compile": "inductor"}))
    assert embed(spec) == pytest.approx(plain, rel=1e-4, abs=1e-5)
    assert list((tmp_path / "compiled").rglob("*.so"))


def test_an_attention_kernel_for_a_loader_without_a_choice_is_a_broken_spec(tmp_path: Path):
    content = with_field(content_of("efficientnet_lite0"), ("numeric", "attention"), "sdpa")
    (problem,) = read_spec(write_spec(tmp_path, content))  # type: ignore[misc] # problems, not a spec
    assert str(problem) == (
        "efficientnet_lite0.yaml: numeric.attention: found 'sdpa', "
        "expected null: efficientnet_lite0 has no choice of it"
    )


def test_an_undeclared_attention_kernel_is_not_written():
    assert PLAIN.model_dump() == {"dtype": "float32", "device": "cpu"}
