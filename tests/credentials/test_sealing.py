"""A sealed credential can be decrypted only with its key and for its profile."""

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sendroute.credentials.keys import keys_at_hand, keys_in
from sendroute.credentials.sealing import Sealer
from sendroute.model.credential import Credential
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Encryption
from sendroute.model.secret import SecretBinding

from .conftest import CANARY_NAME, CANARY_WORD

ONE, TWO = (Fernet.generate_key().decode() for _ in range(2))
GOOD = Credential(CANARY_NAME, CANARY_WORD)
BOND = SecretBinding("acme", "acme", "ses", "smtp.provider.example", 587, Encryption.STARTTLS)


def test_a_token_opens_only_with_its_key() -> None:
    token = Sealer((ONE,)).seal(GOOD, BOND)
    assert Sealer((ONE,)).open(token, BOND) == GOOD
    assert Sealer((TWO,)).open(token, BOND) is None
    assert Sealer((TWO, ONE)).open(token, BOND) == GOOD


def test_the_first_key_is_used_for_sealing() -> None:
    token = Sealer((TWO, ONE)).seal(GOOD, BOND)
    assert Sealer((ONE,)).open(token, BOND) is None
    assert Sealer((TWO,)).open(token, BOND) == GOOD


@pytest.mark.parametrize(
    "other",
    [
        BOND._replace(namespace="beta"),
        BOND._replace(account="beta"),
        BOND._replace(profile="mailgun"),
        BOND._replace(host="evil.example"),
        BOND._replace(port=25),
        BOND._replace(encryption=Encryption.NONE),
    ],
    ids=lambda binding: next(
        n for n, a, b in zip(SecretBinding._fields, binding, BOND, strict=True) if a != b
    ),
)
def test_a_token_opens_only_for_its_profile_and_destination(other: SecretBinding) -> None:
    sealer = Sealer((ONE,))
    token = sealer.seal(GOOD, BOND)
    assert sealer.open(token, other) is None
    assert sealer.holds(token, other, GOOD) is None


def test_a_modified_token_does_not_open() -> None:
    sealer = Sealer((ONE,))
    token = sealer.seal(GOOD, BOND)
    for place in (5, 40, len(token) - 9):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert sealer.open(changed, BOND) is None
    for junk in ("", "x", "\N{SNOWMAN}", token[:-10], CANARY_WORD):
        assert sealer.open(junk, BOND) is None


def test_a_token_is_compared_with_a_credential() -> None:
    sealer = Sealer((ONE,))
    token = sealer.seal(GOOD, BOND)
    assert sealer.holds(token, BOND, GOOD) is True
    assert sealer.holds(token, BOND, Credential(CANARY_NAME, "other")) is False
    assert sealer.holds(token, BOND, Credential("other", CANARY_WORD)) is False


def test_a_token_hides_the_value_and_its_length() -> None:
    sealer = Sealer((ONE,))
    lengths = {len(sealer.seal(Credential("u", "p" * n), BOND)) for n in (1, 20, 64)}
    assert len(lengths) == 1
    assert sealer.seal(GOOD, BOND) != sealer.seal(GOOD, BOND)
    assert ONE not in repr(sealer)


# Keys


def test_keys_are_separated_by_lines_or_commas() -> None:
    assert keys_in(f"{ONE}\n{TWO}\n", "k") == (ONE, TWO)
    assert keys_in(f" {ONE}, {TWO},", "k") == (ONE, TWO)


@pytest.mark.parametrize(
    "text",
    ["", "\n \n", ONE[:-1], f"{ONE}x", f"{ONE}\n{CANARY_WORD}", "ü" * 44, ONE.replace("=", "!")],
    ids=[
        "nothing",
        "blank lines",
        "short",
        "long",
        "a valid and an invalid key",
        "not ASCII",
        "junk",
    ],
)
def test_an_invalid_key_is_reported_without_its_value(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    for made in (
        lambda: keys_in(text, "the variable"),
        lambda: keys_at_hand(str(path), "", {}),
    ):
        with pytest.raises(ProblemError) as caught:
            made()
        (finding,) = caught.value.findings
        shown = f"{caught.value!r} {finding}"
        assert all(part not in shown for part in (ONE[:20], CANARY_WORD, "üü"))
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_keys_are_read_from_a_variable_or_a_file(tmp_path: Path) -> None:
    usual, given = tmp_path / "sendroute.key", tmp_path / "given"
    assert keys_at_hand(None, str(usual), {}) is None
    usual.write_text(ONE)
    assert keys_at_hand(None, str(usual), {}) == (ONE,)
    assert keys_at_hand(None, str(usual), {"SENDROUTE_KEY": TWO}) == (TWO,)
    given.write_text(f"{TWO}\n{ONE}")
    assert keys_at_hand(str(given), str(usual), {"SENDROUTE_KEY": ONE}) == (TWO, ONE)


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        keys_at_hand(str(tmp_path / "gone"), os.devnull, {"SENDROUTE_KEY": ONE})
    assert caught.value.findings[0].code == "unreadable"
