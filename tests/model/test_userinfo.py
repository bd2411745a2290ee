"""Which parts of an argument are a user and a password, and which are not."""

import pytest

from sendroute.model.userinfo import remember_arguments, without_arguments, without_userinfo


@pytest.fixture(autouse=True)
def _forget() -> None:
    remember_arguments([])


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("https://TOKEN:x-oauth-basic@h/x", "https://…@h/x"),
        ("https://TOKEN@h/x", "https://…@h/x"),
        ("ssh://git@h/x", "ssh://…@h/x"),
        ("https://u:P/W@h/x", "https://…@h/x"),
        ("https://u:P@W@h/x", "https://…@h/x"),
        ("https://u:P W@h/x", "https://…@h/x"),
        ("https//u:PW@h/x", "https//…@h/x"),
        ("https:/u:PW@h/x", "https:/…@h/x"),
        ("//u:PW@h/x", "//…@h/x"),
        ("u:PW@h/x", "…@h/x"),
        ("u:PW@h", "…@h"),
        ("https:u:PW@h/x", "https:…@h/x"),
        ("u:P:W@h", "u:…@h"),
        ("https:/U:P:W@h/x", "https:/…@h/x"),
        ("json=https://u:PW@h/b", "json=https://…@h/b"),
        ("postgresql:u:PW@h/x", "postgresql:…@h/x"),
        ("sqlite:///u:PW@h", "sqlite:///…@h"),
        ("postgresql://h/x?password=PW", "postgresql://h/x?password=…"),
        ("a@b.yaml", "a@b.yaml"),
        ("team@corp/x.yaml", "team@corp/x.yaml"),
        ("sqlite:///srv/team@corp/x.db", "sqlite:///srv/team@corp/x.db"),
        ("https://h/team@corp/x", "https://h/team@corp/x"),
        ("git@github.com:acme/mail.git", "git@github.com:acme/mail.git"),
        ("jane@shop.example", "jane@shop.example"),
        ("acme/apikey", "acme/apikey"),
    ],
)
def test_a_url_in_an_argument_is_shown_without_user_and_password(argument: str, shown: str) -> None:
    remember_arguments([argument])
    assert without_userinfo(f"There is no `{argument}`.") == f"There is no `{shown}`."


def test_a_path_that_was_made_of_a_url_is_shown_without_them() -> None:
    remember_arguments(["https://TOKEN@h/x.db"])
    assert without_userinfo("/srv/https:/TOKEN@h/x.db is missing.") == (
        "/srv/https:/…@h/x.db is missing."
    )


def test_a_url_that_is_no_argument_is_shown_without_them() -> None:
    assert without_userinfo("at http://u:PW@h/x, for a@b") == "at http://…@h/x, for a@b"


def test_a_user_of_a_url_is_hidden_in_no_other_word() -> None:
    remember_arguments(["https://mail@h/x"])
    assert without_userinfo("mail@h and mail.example") == "mail@h and mail.example"


@pytest.mark.parametrize("argument", ["postgresql://:@h/db", "//:@h", "postgresql://name:@h/db"])
def test_an_empty_half_hides_nothing_elsewhere(argument: str) -> None:
    remember_arguments([argument])
    assert without_arguments('{"name": 1, name: 2}') == '{"name": 1, name: 2}'
    assert "name" not in without_userinfo(argument)
