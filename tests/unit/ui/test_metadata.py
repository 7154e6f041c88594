"""Text from outside is shown as text in the UI, and as it is in a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_assets.ui.metadata import markdown_list, plain_list


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plate-001: no such file", "- plate-001: no such file"),
        ("![a](http://127.0.0.1/b.png)", "- !\\[a\\](http://127.0.0.1/b.png)"),
        ("<img src=x>", "- \\<img src=x\\>"),
        ("two\n\n# lines", "- two # lines"),
        ("a\\*b*", "- a\\\\\\*b\\*"),
    ],
)
def test_markup_is_escaped(line, shown):
    assert markdown_list([line]) == shown


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))))
def test_a_terminal_shows_the_lines_as_they_were(lines):
    assert plain_list(markdown_list(lines)) == "\n".join(f"- {' '.join(line.split())}" for line in lines)
