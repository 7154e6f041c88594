"""Tesseract by tesserocr, whose wheel has the engine: lines of text in the bands of a plate that have lettering."""

from collections.abc import Iterator

import numpy as np
import tesserocr
from PIL import Image

from atlas_resources.instruments.parameters.reading import TesseractParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.readers._pages import in_reading_order
from atlas_resources.models.protocols import TextLine
from atlas_resources.models.weights import LocatedWeights


class Tesseract:
    """Reads plates."""

    def __init__(self, engine: tesserocr.PyTessBaseAPI, parameters: TesseractParameters):
        self.engine = engine
        self.parameters = parameters

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        """Returns the lines of the bands in reading order, for uint8 [H, W, 3], RGB in sRGB.

        A band is made grey by Pillow's luma (Rec. 601) and enlarged by bicubic interpolation. A line's score is the
        engine's confidence over 100; its language is what the engine says of the line's first word.
        """
        height = pixels.shape[0]
        lines = [line for top, end in bands(height, self.parameters) for line in self._read(pixels[top:end], top)]
        return in_reading_order(lines)

    def _read(self, band: np.ndarray, top_px: int) -> Iterator[TextLine]:
        by, grey = self.parameters.enlargement, Image.fromarray(band).convert("L")
        enlarged = grey.resize((grey.width * by, grey.height * by), Image.Resampling.BICUBIC)
        self.engine.SetImage(enlarged)
        self.engine.Recognize()
        found = self.engine.GetIterator()
        level = tesserocr.RIL.TEXTLINE
        for line in tesserocr.iterate_level(found, level) if found else ():
            text = "" if line.Empty(level) else line.GetUTF8Text(level).strip()
            box = line.BoundingBox(level)
            if text and box:
                left, top, right, bottom = (side / by for side in box)
                corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
                language = line.WordRecognitionLanguage() or None
                yield TextLine(text, line.Confidence(level) / 100, corners + np.array([0, top_px]), language)
        self.engine.Clear()


def bands(height_px: int, parameters: TesseractParameters) -> list[tuple[int, int]]:
    """First and last row of each band, the last exclusive, rounded; one for the whole plate if they touch."""
    top = round(height_px * parameters.top_band_ratio)
    bottom = height_px - round(height_px * parameters.bottom_band_ratio)
    if top >= bottom:
        return [(0, height_px)]
    return [(start, end) for start, end in ((0, top), (bottom, height_px)) if end > start]


def load(spec: Spec, weights: LocatedWeights, device: str) -> Tesseract:
    """Starts the engine on the verified files of trained data, with the neural recogniser only.

    Raises:
        ValueError: the declared languages are not those of the pinned files.
        RuntimeError: the engine does not accept the files.
    """
    parameters = TesseractParameters.model_validate(spec.parameters)
    pinned = sorted(name.removesuffix(".traineddata") for name in weights.files)
    if pinned != sorted(parameters.languages.split("+")):
        raise ValueError(f"{spec.key}: expected trained data of {parameters.languages}, found {', '.join(pinned)}")
    engine = tesserocr.PyTessBaseAPI(
        path=str(weights.folder),
        lang=parameters.languages,
        psm=parameters.page_segmentation,  # type: ignore[arg-type] # PSM is a class of whole numbers
        oem=tesserocr.OEM.LSTM_ONLY,
    )
    return Tesseract(engine, parameters)
