"""Pixeltable as a program beside Atlas: a computed column of vectors over image files. Run by `benchmarks.peers`.

It runs in an environment of its own, `build/pixeltable`, since Pixeltable's requirements exclude those of this project;
torch and transformers come from the project's. For each line on standard input it makes a table of the files with
their vectors, and answers with a line.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pixeltable as pxt  # type: ignore[import-not-found] # in the other environment
import torch
from PIL import Image
from pixeltable.func import Batch  # type: ignore[import-not-found] # in the other environment
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

BATCH = 32
SIDE = {"height": 224, "width": 224}
FOLDER = Path(sys.argv[1])
NETWORK = CLIPVisionModelWithProjection.from_pretrained(FOLDER / "network").eval()
PROCESSOR: Any = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=SIDE)


@pxt.udf(batch_size=BATCH)
def vector(picture: Batch[Image.Image]) -> Batch[pxt.Array[(512,), pxt.Float]]:  # type: ignore[valid-type] # a type of Pixeltable
    """The network's vectors of a batch, as Pixeltable's own functions of models are written."""
    pixels = PROCESSOR(list(picture), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return list(NETWORK(pixel_values=pixels).image_embeds.numpy())


def measure(paths: list[str]) -> np.ndarray:
    """A new table of the files, with a computed column of their vectors, float32 [files, 512]."""
    pxt.drop_table("plates", if_not_exists="ignore", force=True)
    table = pxt.create_table("plates", {"number": pxt.Int, "picture": pxt.Image})
    table.add_computed_column(vector=vector(table.picture))
    table.insert([{"number": number, "picture": path} for number, path in enumerate(paths)])
    rows = table.order_by(table.number).select(table.vector).collect()
    return np.stack([np.asarray(row["vector"], dtype=np.float32) for row in rows])


def main() -> None:
    """Answers each line of standard input once the table is made; its vectors are in `vectors.npy`."""
    paths = (FOLDER / "paths.txt").read_text(encoding="utf-8").splitlines()
    torch.set_num_threads(int(sys.argv[2]))
    print("ready", flush=True)
    for _ in sys.stdin:
        np.save(FOLDER / "vectors.npy", measure(paths))
        print("done", flush=True)


if __name__ == "__main__":
    main()
