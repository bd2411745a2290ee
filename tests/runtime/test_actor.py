"""The name of the actor in history."""

import pytest

from sendroute.runtime.actor import actor


@pytest.mark.parametrize("empty", ["", "  ", "\u200b\x07"], ids=["empty", "blank", "invisible"])
def test_a_variable_without_a_printable_name_is_ignored(
    monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    for name in ("SENDROUTE_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        monkeypatch.delenv(name, raising=False)
    user = actor()
    assert user
    monkeypatch.setenv("SENDROUTE_ACTOR", empty)
    assert actor() == user
    monkeypatch.setenv("GITLAB_USER_LOGIN", "jane\x1b[31m")
    assert actor() == "jane[31m"
