"""Whose name history keeps."""

from pathlib import Path

import pytest

from sendroute.cli.actor import actor


@pytest.mark.parametrize("nothing", ["", "  ", "\u200b\x07"], ids=["empty", "blank", "invisible"])
def test_a_variable_that_shows_nothing_names_nobody(
    place: Path, monkeypatch: pytest.MonkeyPatch, nothing: str
) -> None:
    assert place.is_dir()
    someone = actor()
    assert someone
    monkeypatch.setenv("SENDROUTE_ACTOR", nothing)
    assert actor() == someone
    monkeypatch.setenv("GITLAB_USER_LOGIN", "jane\x1b[31m")
    assert actor() == "jane[31m"
