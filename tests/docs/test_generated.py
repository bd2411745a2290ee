"""The generated pages of ``docs/`` are what ``make docs`` would write now."""

from collections.abc import Callable

import pytest

from .pages import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    page: Callable[[], str] = PAGES[name]
    assert (ROOT / "docs" / name).read_text("utf-8") == page(), "run `make docs`"
