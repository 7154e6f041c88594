"""`atlas search`: words, a picture and both, by a tiny SigLIP whose two towers are saved as the hub has them."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import made_specs
from support.fake_instruments import fake_registry
from support.made_checkpoints import SIDE_PX, pinned
from support.made_datasets import make_dataset
from support.made_results import GivenVectors, build_ledgers, measure, measure_groundwork, run_instrument
from support.made_specs import project_spec
from support.made_text_towers import siglip_tower
from support.made_weights import use_caches
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.search.image_text import embed_words, image_text_instruments, require_image_text
from atlas_assets.search.question import Question, QuestionRefused, ask
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.files import digests
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.dataset import Dataset

Library = tuple[Dataset, Registry]
SIGLIP, WORDS = "siglip_so400m_patch14_384", "a heron by the water"
NAMES = ("red", "green", "blue", "ochre", "teal", "brown")


def image_tower(spec: Spec, folder: Path) -> Spec:
    """The image tower of the same files: 32 numbers, by pictures of SIDE_PX, on the CPU."""
    changed = pinned(project_spec(SIGLIP), folder).model_dump(mode="json")
    changed["output"]["dim"] = 32
    changed["preprocessing"]["resize"]["size_px"] = SIDE_PX
    changed["numeric"]["device"] = "cpu"
    changed["default_processor"] = None
    return Spec.model_validate(changed)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Six plates measured by the tiny SigLIP, with their ledgers and the catalogue. Tests only read it."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "memory_path", lambda: folder / "digests.json")
        tower = siglip_tower(folder / "hub", patch)
        registry = fake_registry(image_tower(tower.spec, tower.folder), tower.spec)
        dataset = make_dataset(folder, *NAMES)
        measure_groundwork(dataset)
        assert run_instrument(dataset, registry, SIGLIP) == ["complete"] * 6
        build_ledgers(dataset, registry)
        build_catalogue(dataset, registry)
        yield dataset, registry


@pytest.fixture
def picture(library: Library, tmp_path: Path) -> Path:
    """A copy of a plate's own file."""
    return Path(shutil.copy(library[0].plate("plate-003").source_path(), tmp_path / "outside.png"))


def cosines(library: Library, question: Question) -> dict[str, float]:
    found = ask(*library, question, SIGLIP, 9)
    return {one.plate_id: one.score for one in found.seen}


def test_words_order_plates_by_the_cosine_to_the_text_towers_vector(library: Library):
    dataset, registry = library
    vector = embed_words(require_image_text(registry, SIGLIP), WORDS)
    assert np.linalg.norm(vector) == pytest.approx(1)
    rows = build_ledgers(dataset, registry)["embeddings"]
    sealed = {name: np.array(row) for name, row in rows.select("plate_id", "vector").iter_rows()}
    expected = {name: float(row @ vector / np.linalg.norm(row)) for name, row in sealed.items()}
    found = ask(*library, Question(WORDS), None, 9)
    assert found.instrument == SIGLIP
    assert {one.plate_id: one.words_cosine for one in found.seen} == pytest.approx(expected)
    assert [one.plate_id for one in found.seen] == sorted(expected, key=lambda name: -expected[name])
    assert [one.rank for one in found.seen] == [1, 2, 3, 4, 5, 6]


def test_a_picture_finds_its_own_plate(library: Library, picture: Path):
    found = ask(*library, Question(None, picture), None, 1)
    assert (found.seen[0].plate_id, found.seen[0].words_cosine) == ("plate-003", None)
    assert found.seen[0].picture_cosine == pytest.approx(1, abs=1e-4)
    assert (found.titles, found.texts) == ([], [])


def test_both_are_mixed_as_the_weighted_sum_of_what_each_is_in_deviations(library: Library, picture: Path):
    words, pictures = cosines(library, Question(WORDS)), cosines(library, Question(None, picture))

    def deviations(figures: dict[str, float]) -> dict[str, float]:
        mean, deviation = np.mean(list(figures.values())), np.std(list(figures.values()))
        return {name: float((figure - mean) / deviation) for name, figure in figures.items()}

    first, second = deviations(words), deviations(pictures)
    for weight in (0.0, 0.3, 0.5, 1.0):
        expected = {name: (1 - weight) * first[name] + weight * second[name] for name in first}
        found = ask(*library, Question(WORDS, picture, weight), None, 9).seen
        assert {one.plate_id: one.score for one in found} == pytest.approx(expected)
        assert [one.score for one in found] == pytest.approx(sorted(expected.values(), reverse=True))
        assert {one.plate_id: (one.words_cosine, one.picture_cosine) for one in found} == {
            name: (pytest.approx(words[name]), pytest.approx(pictures[name])) for name in words
        }
    assert cosines(library, Question(WORDS, picture)) == cosines(library, Question(WORDS, picture, 0.5))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(None), 'expected words, --picture FILE, or both. Fix: atlas search "a heron"'),
        (Question("  "), "expected words, --picture FILE, or both"),
        (Question(WORDS, None, 0.5), "--weight: expected words and --picture FILE"),
        (Question(WORDS, Path("heron.jpg"), 1.5), r"--weight: expected 0 .* to 1 .*, found 1.5"),
    ],
)
def test_a_question_that_means_nothing_is_refused(library: Library, question: Question, message: str):
    with pytest.raises(QuestionRefused, match=message):
        ask(*library, question, None, 3)


def test_vectors_of_another_length_are_refused(library: Library, tmp_path: Path):
    """Plates were sealed by a tower of three numbers: nothing is compared."""
    _, registry = library
    dataset = make_dataset(tmp_path, "red", "blue")
    spec = registry.specs[SIGLIP]
    assert spec.output
    short = spec.model_copy(update={"output": spec.output.model_copy(update={"dim": 3})})
    other = replace(registry, specs={**registry.specs, SIGLIP: short})
    measure(dataset, other, SIGLIP, GivenVectors({"plate-001": (1, 0, 0), "plate-002": (0, 1, 0)}))
    build_ledgers(dataset, other)
    with pytest.raises(ValueError, match=r"_prompts: expected a vector of 3 numbers, as plates have by .*, found 32"):
        ask(dataset, other, Question(WORDS), SIGLIP, 3)


@pytest.fixture
def without_weights(library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The library on a machine that has no weights, for the project's own registry."""
    use_caches(monkeypatch, tmp_path / "caches")
    monkeypatch.setenv("ATLAS_HOME", str(library[0].root))
    monkeypatch.setattr(cli.console, "_width", 300)
    return library[0]


def search(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, ["search", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_without_a_model_words_are_found_as_words_and_the_command_that_fetches_one_is_shown(without_weights: Dataset):
    result = search("ochre", "--k", 3)
    assert result.exit_code == 0
    assert "What plates show is not searched" in result.stderr
    pull = "atlas models pull clip_vit_base_patch32 clip_vit_base_patch32_prompts && atlas run"
    assert f"clip_vit_base_patch32: its weights are not on disk. Fix: {pull}" in result.stderr
    titles, _, texts = result.stdout.partition("Texts on plates with the words")
    assert "plate-004" in titles
    assert "none" in texts


def test_without_a_model_a_picture_is_refused_with_what_can_be_done(without_weights: Dataset, picture: Path):
    result = search("a heron", "--picture", picture)
    assert result.exit_code == 1
    assert "no image-text instrument can be asked" in result.stderr
    assert f"Without words: atlas similar {picture}" in result.stderr


def test_an_instrument_that_is_asked_by_name_has_to_answer(without_weights: Dataset):
    result = search("a heron", "--by", SIGLIP)
    assert result.exit_code == 1
    assert f"{SIGLIP}: its weights are not on disk. Fix: atlas models pull {SIGLIP} {SIGLIP}_prompts" in result.stderr


@pytest.mark.parametrize(
    ("by", "message"), [("dinov2_base", "dinov2_base has no text tower among"), ("dinov2_bass", "Did you mean dinov2")]
)
def test_only_instruments_with_a_text_tower_can_be_asked(without_weights: Dataset, by: str, message: str):
    result = search("a heron", "--by", by)
    assert result.exit_code == 1
    assert message in result.stderr


def test_the_answer_is_tables_or_json_on_request(library: Library, picture: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, registry = library
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setattr(cli.console, "_width", 300)
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    before = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*") if path.is_file()}
    mixed = search("a heron", "--picture", picture, "--weight", 0.25)
    assert mixed.exit_code == 0
    assert f"What plates show, by {SIGLIP}" in mixed.stdout
    assert "score: 0.75 of the words and 0.25 of the picture, in standard deviations over the library" in mixed.stdout
    assert "Titles with" not in mixed.stdout
    words = search("blue")
    for title in ("What plates show", "Titles with the words", "Texts on plates with the words"):
        assert title in words.stdout
    found = json.loads(search("a heron", "--picture", picture, "--json", "-k", 2).stdout)
    assert (found["weight"], found["instrument"], len(found["seen"])) == (0.5, SIGLIP, 2)
    assert set(found["seen"][0]) == {"plate_id", "title", "rank", "score", "words_cosine", "picture_cosine"}
    after = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*") if path.is_file()}
    assert after == before


def test_without_a_catalogue_and_a_model_the_command_says_what_builds_it(tmp_path: Path, monkeypatch):
    use_caches(monkeypatch, tmp_path / "caches")
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "empty"))
    result = search("a heron")
    assert result.exit_code == 1
    assert "atlas.duckdb is not there yet" in result.stderr


def test_active_instruments_come_first_then_those_that_need_no_gpu():
    found = list(image_text_instruments(made_specs.PROJECT))
    assert found == ["clip_vit_base_patch32", "clip_vit_large_patch14", SIGLIP]
    active = replace(made_specs.PROJECT, active=frozenset({SIGLIP}))
    assert next(iter(image_text_instruments(active))) == SIGLIP
