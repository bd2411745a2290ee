"""A encrypted credential can be decrypted only with its key and for its profile."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sendroute.credentials.cipher import FernetCipher
from sendroute.credentials.keys import find_keys, keys_in
from sendroute.model.credential import Credential
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Encryption
from sendroute.model.secret import SecretBinding

from .conftest import CANARY_NAME, CANARY_WORD

KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(2))
GOOD = Credential(CANARY_NAME, CANARY_WORD)
BINDING = SecretBinding("acme", "acme", "ses", "smtp.provider.example", 587, Encryption.STARTTLS)


def test_a_token_opens_only_with_its_key() -> None:
    token = FernetCipher((KEY,)).encrypt(GOOD, BINDING)
    assert FernetCipher((KEY,)).decrypt(token, BINDING) == GOOD
    assert FernetCipher((OTHER_KEY,)).decrypt(token, BINDING) is None
    assert FernetCipher((OTHER_KEY, KEY)).decrypt(token, BINDING) == GOOD


def test_the_first_key_is_used_for_encryption() -> None:
    token = FernetCipher((OTHER_KEY, KEY)).encrypt(GOOD, BINDING)
    assert FernetCipher((KEY,)).decrypt(token, BINDING) is None
    assert FernetCipher((OTHER_KEY,)).decrypt(token, BINDING) == GOOD


@pytest.mark.parametrize(
    "other",
    [
        BINDING._replace(namespace="beta"),
        BINDING._replace(account="beta"),
        BINDING._replace(profile="mailgun"),
        BINDING._replace(host="evil.example"),
        BINDING._replace(port=25),
        BINDING._replace(encryption=Encryption.NONE),
    ],
    ids=lambda binding: next(
        field
        for field, other, value in zip(SecretBinding._fields, binding, BINDING, strict=True)
        if other != value
    ),
)
def test_a_token_opens_only_for_its_profile_and_destination(other: SecretBinding) -> None:
    cipher = FernetCipher((KEY,))
    token = cipher.encrypt(GOOD, BINDING)
    assert cipher.decrypt(token, other) is None
    assert cipher.holds(token, other, GOOD) is None


def test_a_modified_token_does_not_open() -> None:
    cipher = FernetCipher((KEY,))
    token = cipher.encrypt(GOOD, BINDING)
    for position in (5, 40, len(token) - 9):
        changed = (
            token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        )
        assert cipher.decrypt(changed, BINDING) is None
    for junk in ("", "x", "\N{SNOWMAN}", token[:-10], CANARY_WORD):
        assert cipher.decrypt(junk, BINDING) is None


def test_a_token_is_compared_with_a_credential() -> None:
    cipher = FernetCipher((KEY,))
    token = cipher.encrypt(GOOD, BINDING)
    assert cipher.holds(token, BINDING, GOOD) is True
    assert cipher.holds(token, BINDING, Credential(CANARY_NAME, "other")) is False
    assert cipher.holds(token, BINDING, Credential("other", CANARY_WORD)) is False


def test_a_token_hides_the_value_and_its_length() -> None:
    cipher = FernetCipher((KEY,))
    lengths = {len(cipher.encrypt(Credential("u", "p" * n), BINDING)) for n in (1, 20, 64)}
    assert len(lengths) == 1
    assert cipher.encrypt(GOOD, BINDING) != cipher.encrypt(GOOD, BINDING)
    assert KEY not in repr(cipher)


# Keys


def test_keys_are_separated_by_lines_or_commas() -> None:
    assert keys_in(f"{KEY}\n{OTHER_KEY}\n", "k") == (KEY, OTHER_KEY)
    assert keys_in(f" {KEY}, {OTHER_KEY},", "k") == (KEY, OTHER_KEY)


def test_a_key_in_standard_base64_is_the_same_key() -> None:
    content = b"\xfb\xff\xbf" * 10 + b"\xfb\xff"  # has both letters in which the two forms differ
    standard = base64.b64encode(content).decode()
    assert {"+", "/"} <= set(standard)
    assert keys_in(standard, "k") == (base64.urlsafe_b64encode(content).decode(),)


@pytest.mark.parametrize(
    "text",
    ["", "\n \n", KEY[:-1], f"{KEY}x", f"{KEY}\n{CANARY_WORD}", "ü" * 44, KEY.replace("=", "!")],
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
        lambda: find_keys(str(path), "", {}),
    ):
        with pytest.raises(ProblemError) as caught:
            made()
        (finding,) = caught.value.findings
        shown = f"{caught.value!r} {finding}"
        assert all(part not in shown for part in (KEY[:20], CANARY_WORD, "üü"))
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_keys_are_read_from_a_variable_or_a_file(tmp_path: Path) -> None:
    usual, given = tmp_path / "sendroute.key", tmp_path / "given"
    assert find_keys(None, str(usual), {}) is None
    usual.write_text(KEY)
    assert find_keys(None, str(usual), {}) == (KEY,)
    assert find_keys(None, str(usual), {"SENDROUTE_KEY": OTHER_KEY}) == (OTHER_KEY,)
    given.write_text(f"{OTHER_KEY}\n{KEY}")
    assert find_keys(str(given), str(usual), {"SENDROUTE_KEY": KEY}) == (OTHER_KEY, KEY)


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        find_keys(str(tmp_path / "gone"), os.devnull, {"SENDROUTE_KEY": KEY})
    assert caught.value.findings[0].code == "unreadable"
