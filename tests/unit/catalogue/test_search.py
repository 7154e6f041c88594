"""Words are found as words: in titles by the similarity of `text_search`, and in texts by that macro."""

from pathlib import Path

import pytest
from support.made_catalogue import made_catalogue

from atlas_resources.catalogue import search
from atlas_resources.catalogue.search import find_words
from atlas_resources.plates.dataset import Dataset

PLATES = [
    {"plate_id": "plate-001", "title": "Blue Heron"},
    {"plate_id": "plate-002", "title": "Great Héron"},
    {"plate_id": "plate-003", "title": "Mallard Duck"},
    {"plate_id": "plate-004", "title": None},
    {"plate_id": "plate-005", "title": "東海道 蒼鷺"},
]
TEXTS = [
    {"plate_id": plate_id, "instrument": "reader", "run_id": "run-1", "text_id": "line-0001", "form": "transcription",
     "text": text, "is_current": True}
    for plate_id, text in (("plate-003", "HERON."), ("plate-004", "MALLARD"))
]  # fmt: skip


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "connect", lambda dataset: made_catalogue(plates=PLATES, texts=TEXTS))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def test_titles_and_texts_are_two_lists(dataset: Dataset):
    titles, texts = find_words(dataset, "heron", 5)
    assert [(one.plate_id, one.similarity) for one in titles] == [("plate-001", 1), ("plate-002", 1)]
    assert [(one.plate_id, one.title, one.instrument, one.text) for one in texts] == [
        ("plate-003", "Mallard Duck", "reader", "HERON.")
    ]


def test_the_mean_over_the_words_asked_for_orders_titles(dataset: Dataset):
    """Of two words one is there: 1/2; `herom` and `heron` have jaro (4/5 + 4/5 + 1) / 3 = 13/15, and four letters of
    prefix: 13/15 + 0.4 * 2/15 = 0.92."""
    titles, _ = find_words(dataset, "great herom", 1)
    assert (titles[0].plate_id, titles[0].similarity) == ("plate-002", pytest.approx((1 + 0.92) / 2))
    titles, _ = find_words(dataset, "great herom", 9)
    assert (titles[1].plate_id, titles[1].similarity) == ("plate-001", pytest.approx(0.92 / 2))


def test_a_word_without_spaces_around_it_is_any_part_of_a_title(dataset: Dataset):
    titles, _ = find_words(dataset, "蒼鷺", 9)
    assert [one.plate_id for one in titles] == ["plate-005"]


def test_words_without_a_letter_are_refused(dataset: Dataset):
    with pytest.raises(ValueError, match="expected words to look for"):
        find_words(dataset, "?!", 9)


def test_words_are_never_sql(dataset: Dataset):
    assert find_words(dataset, "heron'); DROP TABLE plates; --", 9)[0][0].plate_id == "plate-001"
