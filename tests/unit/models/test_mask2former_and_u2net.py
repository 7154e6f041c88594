"""Mask2Former's class map is its processor's; U2-Net takes a checkpoint of the pinned layout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_checkpoints import pinned, snapshot_folder, spread
from support.made_segmenters import ON_CPU, mask2former_spec, tiny_mask2former
from support.made_specs import project_spec
from transformers import (
    Mask2FormerImageProcessor,
)

from atlas_resources.instruments.parameters.segmenting import U2NetParameters
from atlas_resources.instruments.spec.output import MasksOutput, labels_sha256
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.segmenters.mask2former import Mask2Former, class_map
from atlas_resources.models.loaders.segmenters.u2net import U2Net, U2NetNetwork
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import resize
from atlas_resources.models.weights import WeightsMismatch


def plate(height: int = 90, width: int = 130) -> Image.Image:
    """Paper, a dark disc and a brown bar."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.random.default_rng(3).integers(215, 240, (height, width, 3)).astype(np.uint8)
    pixels[(rows - height // 3) ** 2 + (columns - width // 3) ** 2 < (height // 5) ** 2] = (25, 25, 30)
    pixels[height * 2 // 3 : height * 5 // 6, width // 2 : width * 5 // 6] = (110, 70, 40)
    return Image.fromarray(pixels)


def working(spec: Spec, image: Image.Image) -> np.ndarray:
    assert spec.preprocessing is not None
    return np.asarray(resize(image, spec.preprocessing))


def test_a_class_map_is_the_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the pinned processor's settings: the whole image squashed to 384 x 384."""
    network = tiny_mask2former()
    spec = mask2former_spec(network, tmp_path, monkeypatch)
    model = load_model(spec)
    assert isinstance(model, Mask2Former)
    masks = model.segment(working(spec, plate()))
    processor = Mask2FormerImageProcessor(
        size={"height": 384, "width": 384}, do_reduce_labels=False, ignore_index=255,
        image_mean=[0.48500001430511475, 0.4560000002384186, 0.4059999883174896],
        image_std=[0.2290000021457672, 0.2239999920129776, 0.22499999403953552],
    )  # fmt: skip
    inputs = processor(plate(), return_tensors="pt")
    with torch.no_grad():
        output = network(pixel_values=inputs["pixel_values"])
    (expected,) = processor.post_process_semantic_segmentation(output)
    found = np.full((384, 384), -1)
    for mask in masks:
        assert mask.class_name == f"class {mask.class_id}"
        assert (found[mask.pixels] == -1).all()
        found[mask.pixels] = mask.class_id
    assert len(masks) > 1
    # The processor resizes by torchvision, the spec by Pillow: a pixel between two classes may differ.
    assert np.mean(found == expected.numpy()) > 0.999


def test_a_class_map_of_one_input_is_the_processors_exactly():
    network = tiny_mask2former()
    pixels = torch.randn(1, 3, 384, 384, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = network(pixel_values=pixels)
    (expected,) = Mask2FormerImageProcessor().post_process_semantic_segmentation(output)
    assert np.array_equal(class_map(output, 384, 384), np.asarray(expected))


def test_other_classes_than_the_vocabularys_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = mask2former_spec(tiny_mask2former(classes=149), tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"expected 150 classes of ade20k_150, each with a name of its own.*149 ids"):
        load_model(spec)


def test_classes_of_the_configuration_are_a_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network = tiny_mask2former(classes=12)
    names: Any = network.config.id2label
    own = {"classes": [], "vocabulary": "configuration", "labels_sha256": labels_sha256(names)}
    output = MasksOutput.model_validate({"kind": "masks", "encoding": "coco_rle", **own})
    spec = mask2former_spec(network, tmp_path, monkeypatch).model_copy(update={"output": output})
    model = load_model(spec)
    assert isinstance(model, Mask2Former)
    assert model.names == names
    others = output.model_copy(update={"labels_sha256": "0" * 64})
    with pytest.raises(WeightsMismatch, match=f"expected labels of sha256 {'0' * 64}"):
        load_model(spec.model_copy(update={"output": others}))


def test_u2net_loads_a_checkpoint_of_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As big as the real one: 44,009,869 weights, in names that the reference gives them."""
    import huggingface_hub.constants

    torch.manual_seed(7)
    network = U2NetNetwork()
    names = set(network.state_dict())
    assert {"stage1.rebnconvin.conv_s1.weight", "stage5d.rebnconv3d.bn_s1.running_var", "side6.bias"} < names
    assert sum(weight.numel() for weight in network.parameters()) == 44_009_869
    spec = project_spec("u2net").model_copy(update={"numeric": ON_CPU})
    folder = snapshot_folder(spec, tmp_path)
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "full_weights.pth")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = load_model(pinned(spec, folder))
    assert isinstance(model, U2Net)
    assert all(
        torch.equal(mine, made) for mine, made in zip(model.network.parameters(), network.parameters(), strict=True)
    )


class Darkness(torch.nn.Module):
    """A network that finds dark things: saliency is one less the mean of the channels, before normalising."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        std, mean = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
        return 1 - (pixels * std[:, None, None] + mean[:, None, None]).mean(dim=1, keepdim=True)


def test_saliency_is_stretched_and_cut_halfway():
    """Levels 200, 100 and 0 of a greatest of 200 are 0, 0.5 and 1 of the way from the lightest to the darkest."""
    spec = project_spec("u2net")
    assert spec.preprocessing is not None
    raster = np.full((320, 320, 3), 200, np.uint8)
    raster[100:200, 100:200] = 100
    raster[120:150, 120:150] = 0
    for threshold, area in ((0.45, 100 * 100), (0.55, 30 * 30)):
        model = U2Net(Darkness(), spec.preprocessing, U2NetParameters(saliency_threshold=threshold), "cpu")
        (mask,) = model.segment(raster)
        assert (mask.class_name, int(mask.pixels.sum())) == ("salient", area)


def test_a_plate_of_one_colour_has_no_salient_object():
    spec = project_spec("u2net")
    assert spec.preprocessing is not None
    model = U2Net(Darkness(), spec.preprocessing, U2NetParameters(saliency_threshold=0.5), "cpu")
    assert model.segment(np.full((320, 320, 3), 200, np.uint8)) == []


def test_a_residual_u_is_the_published_one():
    """A block of height 4, by hand from table and figure 2 of the paper: three levels down and up again."""
    from torch.nn.functional import interpolate, max_pool2d

    torch.manual_seed(3)
    block = spread(U2NetNetwork(encoder=((4, 3, 4, 8, False), (4, 8, 4, 8, True)), decoder=((4, 16, 4, 8, False),)))
    stage: Any = block.stage1
    x = torch.rand(1, 3, 21, 30)
    with torch.no_grad():
        start = stage.rebnconvin(x)
        one = stage.rebnconv1(start)
        two = stage.rebnconv2(max_pool2d(one, 2, 2, ceil_mode=True))
        three = stage.rebnconv3(max_pool2d(two, 2, 2, ceil_mode=True))
        up = stage.rebnconv3d(torch.cat([stage.rebnconv4(three), three], 1))
        up = stage.rebnconv2d(torch.cat([interpolate(up, two.shape[-2:], mode="bilinear"), two], 1))
        up = stage.rebnconv1d(torch.cat([interpolate(up, one.shape[-2:], mode="bilinear"), one], 1))
        assert torch.allclose(stage(x), start + up, atol=1e-6)
        assert stage.rebnconv4.conv_s1.dilation == (2, 2)
        assert [getattr(block.stage2, f"rebnconv{n}").conv_s1.dilation[0] for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
        assert block(x).shape == (1, 1, 21, 30)
