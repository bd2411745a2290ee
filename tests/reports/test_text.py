"""Widths, cuts and wrapping."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendroute.model.words import counted, number
from sendroute.reports.text import clean, fold, width, wrap


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("a → b", 5), ("域名", 4), ("ｅ", 2), ("e\u0301", 1), ("", 0)],
)
def test_width_counts_columns(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("plain → ü 域", "plain → ü 域", id="printable text is unchanged"),
        pytest.param("\x1b[2J", "\\x1b[2J", id="an escape sequence is made visible"),
        pytest.param("a\nb\tc", "a\\nb\\tc", id="a line end is made visible"),
        pytest.param("\u202eabc", "\\u202eabc", id="a direction override is made visible"),
        pytest.param("a\udcffb", "a\\udcffb", id="a byte that is not UTF-8 is made visible"),
        pytest.param("a\u3164b\u2800", "a\\u3164b\\u2800", id="a filler is made visible"),
        pytest.param("a\ufe0f\ufe01", "a\\ufe0f\\ufe01", id="a selector is made visible"),
        pytest.param("\u26a0\ufe0f", "\u26a0\ufe0f", id="a picture is unchanged"),
        pytest.param("a\xa0b\u3000c", "a b c", id="other spaces become spaces"),
    ],
)
def test_clean_makes_terminal_controls_visible(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize("columns", [20, 60, 100])
def test_the_digest_of_a_plan_stays_in_one_line(columns: int) -> None:
    digest = "0123456789abcdef" * 4
    text = f"Review the plan, then: sendroute approve acme/acme --auto-approve --digest {digest}"
    lines = list(wrap(text, 4, first="hint: ", columns=columns))
    assert [line.strip() for line in lines if digest in line] == [digest]
    assert all(width(line) <= columns for line in lines if digest not in line)


@given(st.text(st.characters()), st.integers(0, 60), st.sampled_from(["", "hint: "]))
def test_wrapped_lines_fit_and_keep_every_word(text, indent, first):
    cleaned = clean(text)
    lines = list(wrap(cleaned, indent, first=first))
    assert all(width(line) <= 100 for line in lines)
    assert all(line.startswith(" " * indent) for line in lines)
    assert "".join("".join(lines).split()) == "".join((first + cleaned).split())


def test_lines_after_the_first_hang_beneath_its_words():
    text = f"{'one two ' * 3}three four"
    lines = list(wrap(text, 4, first="hint: ", columns=40))
    assert lines == [f"    hint: one two{' one two' * 2} three", "          four"]


def test_numbers_have_thousands_separators():
    assert number(100000) == "100,000"
    assert counted(1, "error") == "1 error"
    assert counted(2000, "error") == "2,000 errors"


@pytest.mark.parametrize("text", ["域" * 60_000, "域 " * 30_000, "x" * 100_000])
def test_a_text_without_end_is_broken_in_time(text: str) -> None:
    """A line broken off took the width of all that followed: minutes."""
    began = time.monotonic()
    folded, wrapped = fold(text, 20), list(wrap(text, 2, columns=60))
    assert max(map(width, folded)) <= 20
    assert max(map(width, wrapped)) <= 60
    assert "".join(folded).replace(" ", "") == text.replace(" ", "")
    assert time.monotonic() - began < 15
