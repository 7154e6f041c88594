"""A message is bounded and without markup, whatever is in the reasons."""

import json

from hypothesis import given
from hypothesis import strategies as st

from atlas_assets.automation.watching.failures import MOST_CHARACTERS, FailedPlate, FailedRun, RedCheck, one_line
from atlas_assets.automation.watching.messages import Message

UI = "http://127.0.0.1:3000/"


def run_of(*reasons: str, count: int | None = None) -> FailedRun:
    plates = tuple(FailedPlate(f"plate-{n:03}", "segments/a", reason) for n, reason in enumerate(reasons, start=1))
    return FailedRun("1f0e", "__ASSET_JOB", "nightly", (), plates, count or len(plates), "atlas run --failed")


def test_the_text_says_what_failed_how_to_see_more_and_how_to_try_again():
    message = Message([run_of("OSError (decode): torn", count=12)], [RedCheck("a/b: sound", "a/b", "altered")], UI)
    assert message.text() == (
        "Atlas: 1 run failed, 1 check is red\n"
        "\n"
        "Run 1f0e of __ASSET_JOB, requested by nightly failed.\n"
        "  12 plates failed:\n"
        "  - plate-001, segments/a: OSError (decode): torn\n"
        "  - and more\n"
        "  More: http://127.0.0.1:3000/runs/1f0e\n"
        "  Try again: atlas run --failed\n"
        "\n"
        "Check a/b: sound: altered\n"
        "  More: http://127.0.0.1:3000/assets/a/b"
    )


def test_chat_programs_find_no_link_mention_or_markup_in_the_text():
    body = json.loads(Message([run_of("<!channel> @here <https://evil.example|click> &")], [], UI).json())
    assert "&lt;!channel&gt; @\u200bhere &lt;https://evil.example|click&gt; &amp;" in body["text"]
    assert body["runs"][0]["plates"][0]["reason"] == "<!channel> @here <https://evil.example|click> &"


@given(st.text())
def test_a_reason_is_one_line_of_limited_length(text: str):
    line = one_line(text)
    assert len(line) <= MOST_CHARACTERS
    assert line.isprintable()


def test_a_message_about_the_most_that_one_may_report_is_bounded():
    runs = [run_of(*["x" * MOST_CHARACTERS] * 10) for _ in range(10)]
    checks = [RedCheck(f"a/{n}: sound", f"a/{n}", "y" * MOST_CHARACTERS) for n in range(500)]
    message = Message(runs, checks, UI)
    assert len(message.json()) < 100_000
    assert "and 490 more checks" in message.text()


def test_the_same_message_has_the_same_id():
    assert Message([run_of("a")], [], UI).id == Message([run_of("a")], [], "http://other").id
    assert Message([run_of("a")], [], UI).id != Message([], [RedCheck("a/b: c", "a/b", "d")], UI).id
