"""Search of plates by words: the pinned text tower embeds the text, the macro `text_nearest` finds its neighbours."""

from atlas_resources.catalogue.build import connect
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import TextScorer
from atlas_resources.plates.dataset import Dataset


def text_tower_of(registry: Registry, instrument: str) -> Instrument:
    """The admitted probe whose text tower embeds texts into the space of an embedding instrument's vectors.

    Raises:
        KeyError: no such instrument.
        ValueError: no admitted probe with prompts reads it; the message names the instruments that can be searched.
    """
    key = registry.require(instrument).key
    towers = {
        tower.upstream.key: tower
        for tower in registry.instruments.values()
        if tower.upstream and tower.prompts and tower.spec.role == "probe"
    }
    if key not in towers:
        known = ", ".join(sorted(str(name) for name in towers)) or "none"
        raise ValueError(f"{key} has no text tower among the admitted instruments; those with one: {known}.")
    return towers[key]


def search_plates(
    dataset: Dataset, registry: Registry, text: str, instrument: str, k: int
) -> list[tuple[str, str | None, float]]:
    """plate_id, title and cosine of the k plates nearest to a text, nearest first.

    Raises:
        KeyError, ValueError: see `text_tower_of`; or no plate has a current vector of the instrument.
        FileNotFoundError: the weights or the catalogue are not on disk; the message names the command to run.
    """
    tower = text_tower_of(registry, instrument)
    with connect(dataset) as connection:
        key = str(tower.spec.upstream)
        vectors = "SELECT count(*) FROM embeddings WHERE instrument = ? AND scope = 'plate' AND is_current"
        if connection.execute(vectors, [key]).fetchall() == [(0,)]:
            raise ValueError(f"no plate has a vector of {key}. Measure them: atlas run 'key:\"*/{key}\"'")
        model = load_model(tower.spec, tower.prompts)
        if not isinstance(model, TextScorer):
            raise TypeError(f"{tower.key}: expected a model that embeds text, found {type(model).__name__}")
        vector = model.embed_text([text])[0].tolist()
        return connection.execute("FROM text_nearest(?::FLOAT[], ?, ?)", [vector, key, k]).fetchall()
