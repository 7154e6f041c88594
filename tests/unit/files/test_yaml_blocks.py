"""One field of a YAML file is changed, and no other line."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.files.yaml_blocks import with_block, with_items

TEXT = """# A person's comment.
key: one
weights:
  files: []   # none yet
  kind: hub
failure_modes: []
sources:
  - >-
    A long
    source
notes:
- first
- second
"""


def test_a_block_is_replaced_and_every_other_line_stays():
    assert with_block(TEXT, "weights", {"kind": "git"}) == TEXT.replace(
        "weights:\n  files: []   # none yet\n  kind: hub\n", "weights:\n  kind: git\n"
    )
    assert with_block(TEXT, "failure_modes", ["a"]) == TEXT.replace("failure_modes: []", "failure_modes:\n- a")
    assert with_block(TEXT, "notes", ["third"]) == TEXT.replace("- first\n- second\n", "- third\n")


def test_a_new_block_is_put_where_the_order_says():
    order = ["key", "weights", "numeric", "failure_modes", "sources"]
    assert with_block(TEXT, "numeric", 1, order) == TEXT.replace("failure_modes:", "numeric: 1\nfailure_modes:")
    assert with_block(TEXT, "numeric", 1) == TEXT + "numeric: 1\n"


def test_items_are_added_as_the_list_is_indented():
    assert with_items(TEXT, "sources", ["new"]) == TEXT.replace("    source\n", "    source\n  - new\n")
    assert with_items(TEXT, "notes", ["third"]) == TEXT + "- third\n"


def test_items_are_added_to_a_list_on_one_line_and_to_none():
    assert with_items("a: [x]\nb: 1\n", "a", ["y"]) == "a:\n- x\n- y\nb: 1\n"
    assert with_items("b: 1\n", "a", ["y"]) == "b: 1\na:\n- y\n"
    assert with_items(TEXT, "failure_modes", ["y"]) == TEXT.replace("failure_modes: []", "failure_modes:\n- y")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab:# -'\n\u00e9", max_size=140),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["key", "weights", "sources", "notes"]), PLAIN), st.sampled_from("kwsn"), PLAIN)
def test_the_rest_of_the_content_stays_whatever_it_is(content: dict, letter: str, value: object):
    name = next(one for one in ("key", "weights", "sources", "notes") if one.startswith(letter))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True) if content else ""
    assert yaml.safe_load(with_block(text, name, value)) == {**content, name: value}
