"""Tables: as wide as their content for programs, wrapped for eyes, and never cut."""

import csv

import pytest

from sendroute.reports import as_csv
from sendroute.reports.table import Columns, pairs, table
from sendroute.reports.text import Console, width, wrap

LONG = "nordwind-handelsgesellschaft-und-verlag-gmbh/nordwind-handelsgesellschaft-und-verlag-gmbh"
ROWS = [(LONG, "mandanten.kanzlei-hartmann.example", "managed"), ("acme/acme", "a.example", "ü界")]
HEADS = ("ACCOUNT", "DOMAIN", "ROUTE")


def test_in_a_file_every_cell_is_whole_and_on_one_line():
    head, first, second = table(HEADS, ROWS)
    assert head.split() == list(HEADS)
    assert first.split() == list(ROWS[0])
    assert second.split() == list(ROWS[1])


@pytest.mark.parametrize("columns", [80, 100, 130])
def test_at_a_terminal_cells_are_wrapped_to_its_width_and_nothing_is_lost(columns):
    _head, *rows = table(HEADS, ROWS, console=Console(columns=columns))
    assert len(rows) == len(ROWS)
    for row, cells in zip(rows, ROWS, strict=True):
        assert max(map(width, row.splitlines())) <= columns
        assert "…" not in row
        assert sorted(row.replace(" ", "").replace("\n", "")) == sorted("".join(cells))


@pytest.mark.parametrize("columns", [10, 20, 30, 40, 60, 79])
def test_at_a_narrow_terminal_each_row_is_a_block_and_nothing_is_lost(columns):
    head, *rows = table(HEADS, ROWS, console=Console(columns=columns))
    assert (head, len(rows)) == ("", len(ROWS))
    for row, cells in zip(rows, ROWS, strict=True):
        assert max(map(width, row.splitlines())) <= columns
        given = "".join(part for pair in zip(HEADS, cells, strict=True) for part in pair)
        assert sorted("".join(row.split())) == sorted("".join(given.split()))
    beside = "\nACCOUNT  acme/acme\nDOMAIN   a.example\nROUTE    ü界\n"
    below = "\nACCOUNT\n  acme/acme\nDOMAIN\n  a.example\nROUTE\n  ü界\n"
    assert rows[1] == (beside if columns >= 30 else below if columns > 10 else rows[1])


def test_a_table_that_fits_a_narrow_terminal_is_a_table():
    head, _ = table(HEADS, ROWS[1:], console=Console(columns=60))
    assert head.split() == list(HEADS)


def test_words_are_kept_together_where_they_fit():
    words = "one two three four " * 6
    _, row = table(("A", "B"), [("x", words.strip())], console=Console(columns=80))
    first = " ".join(["one two three four"] * 4)
    assert row == f"x  {first}\n   one two three four one two three four\n"


def test_an_optional_column_is_left_out_if_it_is_empty():
    columns = Columns(("A", "B"), optional=("B",))
    columns.fit(("x", ""))
    assert list(columns.lines([("x", "")])) == ["A\n", "x\n"]


def test_a_long_value_of_a_pair_is_one_line_in_a_file():
    value = "word " * 60
    assert len(list(pairs([("name", value)]))) == 1
    assert len(list(pairs([("name", value)], Console(columns=80)))) > 1


@pytest.mark.parametrize("columns", [10, 25, 39, 40])
def test_a_pair_fits_a_narrow_terminal_and_nothing_is_lost(columns):
    items = [("a name of words", "b" * 70 + " c"), ("name", "")]
    lines = list(pairs(items, Console(columns=columns)))
    assert max(width(line.rstrip("\n")) for line in lines) <= columns
    joined = "".join("".join(lines).split())
    assert joined == "".join("".join(map("".join, items)).split())


@pytest.mark.parametrize("columns", range(10, 60))
def test_a_long_word_gets_no_space(columns):
    word = "abcdefghij" * 6
    lines = list(wrap(word, 4, first="hint: ", columns=columns))
    assert "".join(line.strip() for line in lines) in (f"hint:{word}", f"hint: {word}")
    assert max(map(len, lines)) <= columns


def test_csv_is_read_back_as_it_was_written():
    rows = [("a,b", 'say "x"', ""), ("1", "ü", "x")]
    text = "".join(as_csv.lines(("A", "B", "C"), rows))
    assert list(csv.reader(text.splitlines())) == [["A", "B", "C"], *map(list, rows)]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "=cmd|' /c calc'!A1"])
def test_csv_holds_no_formula(cell):
    _, line = as_csv.lines(("A",), [(cell,)])
    assert next(csv.reader([line])) == [f"'{cell}"]


def test_csv_holds_no_control_characters_and_no_line_breaks():
    _, line = as_csv.lines(("A",), [("a\x1b[31m\nb\r",)])
    assert line == "a\\x1b[31m\\nb\\r\n"


@pytest.mark.parametrize("columns", [None, 30, 79, 80, 100])
def test_no_line_of_a_table_is_a_command_of_a_build_log(columns):
    hostile = "::error::x " * 20
    console = Console(columns=columns)
    printed = [
        *table(HEADS, [(hostile, "a.example", "managed"), ("", "", hostile)], console=console),
        *pairs([("name", hostile)], console),
    ]
    for line in "".join(printed).splitlines():
        assert not line.lstrip().startswith("::")
