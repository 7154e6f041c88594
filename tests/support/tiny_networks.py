"""Networks of the reference libraries in miniature, seeded, with the names and layouts of the real ones."""

from collections.abc import Callable
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torchvision.models import ConvNeXt, EfficientNet, ResNet
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.resnet import Bottleneck
from torchvision.models.vgg import VGG, make_layers
from transformers import (
    Aimv2VisionConfig,
    Aimv2VisionModel,
    BertConfig,
    BertModel,
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from support.made_checkpoints import SEED, SIDE_PX, TOWER, spread

LABELS = ["abstract", "genre", "landscape", "portrait", "still life"]
NAMED: dict[str, Any] = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {name: index for index, name in enumerate(LABELS)},
}
SQUARE: dict[str, Any] = {"image_size": SIDE_PX, "patch_size": 14, "intermediate_size": 64}
CLASSES = 10  # classes of the tiny ImageNet networks


def seeded(build: Callable[[], Any]) -> Any:
    torch.manual_seed(SEED)
    return spread(build())


def siglip_config(**more: Any) -> SiglipConfig:
    text = {**TOWER, "vocab_size": 50, "intermediate_size": 64, "max_position_embeddings": 8}
    return SiglipConfig(text_config=text, vision_config={**TOWER, **SQUARE}, **more)


def siglip() -> SiglipModel:
    return seeded(lambda: SiglipModel(siglip_config()))


def aimv2() -> Aimv2VisionModel:
    """transformers' own, of the sizes of `tiny_aimv2` in timm."""
    sizes: dict[str, Any] = {**TOWER, **SQUARE, "intermediate_size": 88}
    config = Aimv2VisionConfig(**sizes, use_head=False)
    return seeded(lambda: Aimv2VisionModel(config))


def in_the_authors_layout(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' AIMv2 by the names of its authors, as apple/ml-aim aim-v2/aim/v2/torch/models.py has them."""
    names = {
        "embeddings.patch_embed": "preprocessor.patchifier.proj",
        "embeddings.rms_norm": "preprocessor.patchifier.norm",
        "encoder.layers": "trunk.blocks",
        "attention.out_proj": "attn.proj",
        "ffn.gate_proj": "mlp.fc1",
        "ffn.down_proj": "mlp.fc2",
        "ffn.up_proj": "mlp.fc3",
        "rms_norm1": "norm_1",
        "rms_norm2": "norm_2",
    }
    original: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        if "attention.q_proj" in name:
            parts = [weights[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            new = name.replace("encoder.layers", "trunk.blocks").replace("attention.q_proj", "attn.qkv")
            original[new] = torch.cat(parts)
        elif name == "rms_norm.weight":
            original["trunk.post_trunk_norm.weight"] = value
        elif name == "embeddings.position_embedding.weight":
            original["preprocessor.pos_embed"] = value[None]
        elif not any(part in name for part in ("k_proj", "v_proj", "position_ids")):
            new = name
            for theirs, authors in names.items():
                new = new.replace(theirs, authors)
            original[new] = value
    return original


def tiny_aimv2(**options: Any) -> VisionTransformer:
    """timm's model of the real name at small widths."""
    sizes = {"img_size": SIDE_PX, "embed_dim": 32, "depth": 2, "num_heads": 4}
    options = {name: value for name, value in options.items() if value is not None and "pretrained" not in name}
    return timm.models.vision_transformer.aimv2_large_patch14_336(**sizes, **options)


def resnet50() -> ResNet:
    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=CLASSES, width_per_group=8)


def vgg16() -> VGG:
    """VGG16 with a small classifier, because the full-size one has 400 MB."""
    with torch.device("meta"):
        network = VGG(make_layers([8, "M", 16, "M", 16, "M", 16, "M", 16, "M"]), num_classes=CLASSES)
        network.classifier = torch.nn.Sequential(torch.nn.Linear(16 * 7 * 7, CLASSES))
    return network if torch.get_default_device().type == "meta" else network.to_empty(device="cpu")


def efficientnet() -> EfficientNet:
    blocks = [MBConvConfig(1, 3, 2, 8, 16, 1, 1.0, 1.0), MBConvConfig(2, 3, 2, 16, 24, 1, 1.0, 1.0)]
    return EfficientNet(blocks, dropout=0.2, num_classes=CLASSES)


def convnext() -> ConvNeXt:
    return ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)], num_classes=CLASSES)


def filled(build: Callable[[], torch.nn.Module]) -> Any:
    """A network of torchvision with seeded weights of usual sizes, and running statistics as after training."""
    torch.manual_seed(SEED)
    network = build()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.ndim > 1:
                value.copy_(torch.randn_like(value) * (2 / value[0].numel()) ** 0.5)
            elif value.is_floating_point():
                around = 1 if name.endswith(("running_var", "weight")) else 0
                value.copy_(around + torch.rand_like(value) * 0.2)
    return network.eval()


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "convnext": lambda: ConvNextForImageClassification(
        ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], **NAMED)
    ),
    "vit": lambda: ViTForImageClassification(ViTConfig(**TOWER, **SQUARE, **NAMED)),
    "resnet": lambda: ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], **NAMED)
    ),
    "swin": lambda: SwinForImageClassification(
        SwinConfig(
            image_size=SIDE_PX, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=7, **NAMED
        )
    ),
    "siglip": lambda: SiglipForImageClassification(siglip_config(**NAMED)),
}


def classifier(family: str) -> Any:
    return seeded(CLASSIFIERS[family])


def bert() -> BertModel:
    """The text tower of a checkpoint whose vision tower is loaded alone."""
    return BertModel(BertConfig(**TOWER, vocab_size=50, intermediate_size=64))


OPEN_CLIP_SIZES = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": SIDE_PX, "patch_size": 14, "layers": 2, "width": 32, "head_width": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 4, "layers": 1},
}
