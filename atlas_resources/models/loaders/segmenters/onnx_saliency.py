"""A saliency network in an ONNX file, such as U-2-Net: one mask of the salient subject. Needs no torch."""

import numpy as np
import onnxruntime

from atlas_resources.instruments.parameters.onnx import OnnxParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._onnx_sessions import open_session
from atlas_resources.models.loaders.segmenters._saliency import mask_of_saliency
from atlas_resources.models.protocols import Mask
from atlas_resources.models.weights import LocatedWeights


class OnnxSaliency:
    """Segments the salient object of a raster."""

    def __init__(
        self, key: str, session: onnxruntime.InferenceSession, steps: Preprocessing, parameters: OnnxParameters
    ):
        self.key = key
        self.session = session
        self.steps = steps
        self.parameters = parameters

    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns one mask of a raster uint8 [H, W, 3], RGB in sRGB; none where the saliency is the same everywhere."""
        return mask_of_saliency(self.saliency(raster), self.parameters.saliency_threshold)

    def saliency(self, raster: np.ndarray) -> np.ndarray:
        """Returns what the network gives, float32 [H, W], for a raster uint8 [H, W, 3] of the declared size.

        Raises:
            ValueError: the graph's output is no single finite map of the raster's size.
        """
        (input_,) = self.session.get_inputs()
        (given,) = self.session.run([self.parameters.output], {input_.name: channels_of(raster, self.steps)})
        maps, expected = np.asarray(given), (1, 1, *raster.shape[:2])
        if maps.shape != expected or not np.isfinite(maps).all():
            found = f"{list(maps.shape)}" if maps.shape != expected else "values that are not finite"
            raise ValueError(
                f"{self.key}: output {self.parameters.output}: expected finite {list(expected)}, found {found}"
            )
        return maps[0, 0]


def channels_of(raster: np.ndarray, steps: Preprocessing) -> np.ndarray:
    """Rescales and normalises a resized raster in float64, as rembg's `normalize` in session_base.py does.

    Args:
        raster: uint8 [H, W, 3], RGB in sRGB.
        steps: the declared preprocessing; its crop and padding must be null.

    Returns:
        float32 [1, 3, H, W].
    """
    divisor = max(1, int(raster.max())) if steps.rescale == "image_maximum" else 255
    mean, std = np.array(steps.mean or (0.0, 0.0, 0.0)), np.array(steps.std or (1.0, 1.0, 1.0))
    return ((raster / divisor - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)


def load(spec: Spec, weights: LocatedWeights, device: str) -> OnnxSaliency:
    """Opens the pinned file, see `_onnx_sessions.open_session`.

    Raises:
        ValueError: no preprocessing is declared, or one with a crop or padding; or the graph has more than one input,
            an input of another type or size, or no output of the declared name.
        WeightsMismatch: the graph is not plain.
    """
    steps = spec.preprocessing
    if steps is None or steps.resize is None or steps.resize.mode != "exact" or steps.crop_px or steps.pad:
        raise ValueError(
            f"{spec.key}: expected preprocessing with resize mode `exact` and without crop_px and pad in "
            f"model_specs/{spec.key}.yaml"
        )
    parameters = OnnxParameters.model_validate(spec.parameters)
    session = open_session(spec, weights.only_file(), parameters)
    side_px = steps.resize.size_px
    inputs = [(one.type, one.shape) for one in session.get_inputs()]
    outputs = [one.name for one in session.get_outputs()]
    if inputs != [("tensor(float)", [1, 3, side_px, side_px])] or parameters.output not in outputs:
        raise ValueError(
            f"{spec.key}: {weights.only_file()}: expected one input float32 [1, 3, {side_px}, {side_px}] and an output "
            f"{parameters.output!r}; found inputs {inputs} and outputs {outputs}"
        )
    return OnnxSaliency(spec.key, session, steps, parameters)
