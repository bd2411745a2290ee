"""The generated pages of ``docs/`` are up to date with ``make docs``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.manifests.shapes import KINDS
from sendroute.manifests.tree import read_tree
from sendroute.planner.offline import check_tree

from .manifest_fields import EXAMPLES
from .pages import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    page: Callable[[], str] = PAGES[name]
    assert (ROOT / "docs" / name).read_text("utf-8") == page(), "run `make docs`"


def test_examples_hold_commands_and_text_after_them_is_kept() -> None:
    page = PAGES["commands.md"]()
    blocks = page.split("```console\n")[1:]
    lines = [line for block in blocks for line in block.partition("```")[0].splitlines() if line]
    assert [
        line
        for line in lines
        if "sendroute" not in line and not line.startswith(("    ", "mkdir "))
    ] == []
    assert "A pattern has * for any characters, dots too, and ? for one." in page


def test_the_examples_of_the_kinds_are_a_valid_tree(tmp_path: Path) -> None:
    for kind, text in EXAMPLES.items():
        (tmp_path / f"{kind}.yaml").write_text(text)
    tree = read_tree([str(tmp_path)])
    assert set(EXAMPLES) == set(KINDS)
    assert [item.code for item in check_tree(tree.desired)] == ["not-enforced"]
