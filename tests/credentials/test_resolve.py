"""From a reference to its credential: real files, links and variables, and all that is wrong."""

import base64
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from sendroute.credentials.resolve import Answer, Secrets
from sendroute.model.credential import Credential
from sendroute.model.secret import SecretProblem, SecretRef

from .conftest import CANARY_NAME, CANARY_WORD, HOST, PORT, SES

Lay = Callable[..., Path]
NAME, WORD = CANARY_NAME.encode(), CANARY_WORD.encode()
GOOD = Credential(CANARY_NAME, CANARY_WORD)


def look_up(folder: Path | None, variables: dict[str, str] | None = None) -> Answer:
    secrets = Secrets(str(folder) if folder else None, variables or {})
    return secrets.credential(SES, HOST, PORT)


def refused(answer: Answer, code: str) -> str:
    """The message; nothing of a value is in it."""
    assert isinstance(answer, SecretProblem), answer
    assert answer.code == code, answer
    told = f"{answer.message} {answer.hint}"
    for secret in (CANARY_NAME, CANARY_WORD, base64.b64encode(WORD).decode()):
        assert secret not in told
    assert str(SES) in answer.message
    return answer.message


@pytest.mark.parametrize(
    ("username", "password"),
    [(NAME, WORD), (NAME + b"\n", WORD + b"\n"), (NAME + b"\r\n", WORD + b"\r\n")],
    ids=["plain files", "one trailing newline is no part of it", "nor that of an editor's habit"],
)
def test_files_are_a_credential(lay: Lay, username: bytes, password: bytes) -> None:
    assert look_up(lay(username=username, password=password)) == GOOD


def test_a_second_trailing_newline_is_a_control_character(lay: Lay) -> None:
    told = refused(look_up(lay(username=NAME, password=WORD + b"\n\n")), "secret-invalid")
    assert "password contains a control character" in told


def test_spaces_and_other_scripts_belong_to_a_password(lay: Lay) -> None:
    assert look_up(lay(username=NAME, password=" pä:ss ✓ ".encode())) == Credential(
        CANARY_NAME, " pä:ss ✓ "
    )


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({"username": NAME}, "secret-missing", "password is missing"),
        ({"password": WORD}, "secret-missing", "username is missing"),
        ({"username": NAME, "password": b""}, "secret-invalid", "password is empty"),
        ({"username": NAME, "password": b"\n"}, "secret-invalid", "password is empty"),
        ({"username": NAME, "password": WORD + b"\xff"}, "secret-invalid", "not UTF-8"),
        ({"username": NAME, "password": WORD + b"\x00"}, "secret-invalid", "control"),
        ({"username": NAME, "password": b"a\tb"}, "secret-invalid", "control"),
        ({"username": NAME, "password": "a\x85b".encode()}, "secret-invalid", "control"),
        ({"username": NAME + b":x", "password": WORD}, "secret-invalid", "colon"),
        ({"username": NAME, "password": WORD * 5000}, "secret-invalid", "larger than 64 KiB"),
        ({"username": NAME, "password": b"x" * 9300}, "secret-invalid", "longer than a mail"),
    ],
    ids=[
        "no password",
        "no username",
        "an empty password",
        "nothing but a newline",
        "bytes that are no text",
        "a NUL",
        "a tab",
        "a C1 control",
        "a colon in the username",
        "a file that is no password",
        "more than one line of AUTH can carry",
    ],
)
def test_what_cannot_be_used_is_told_without_any_of_it(
    lay: Lay, files: dict[str, bytes], code: str, said: str
) -> None:
    assert said in refused(look_up(lay(**files)), code)


def test_the_longest_that_a_server_must_take_is_taken(lay: Lay) -> None:
    """12,288 octets of base64 carry 9,216: two NULs, the username, and this password."""
    answer = look_up(lay(username=b"user", password=b"x" * (9216 - 2 - 4)))
    assert isinstance(answer, Credential)
    refused(look_up(lay(username=b"user", password=b"x" * (9216 - 2 - 3))), "secret-invalid")


def test_a_mounted_secret_is_links_into_data(lay: Lay) -> None:
    folder = lay() / "acme" / "ses-smtp"
    (folder / "..2026_11_23").mkdir()
    (folder / "..2026_11_23" / "username").write_bytes(NAME)
    (folder / "..2026_11_23" / "password").write_bytes(WORD)
    (folder / "..data").symlink_to("..2026_11_23")
    for key in ("username", "password"):
        (folder / key).symlink_to(f"..data/{key}")
    assert look_up(folder.parents[1]) == GOOD


def test_a_secret_that_is_turned_while_it_is_read_is_never_half_old(lay: Lay) -> None:
    folder = lay() / "acme" / "ses-smtp"

    def make(number: int) -> None:
        """As the kubelet does it: each time a folder of its own, and then the link is turned."""
        (folder / f"..{number}").mkdir()
        for key in ("username", "password"):
            (folder / f"..{number}" / key).write_text(f"{number:09}")
        (folder / "..next").symlink_to(f"..{number}")
        (folder / "..next").rename(folder / "..data")

    make(0)
    for key in ("username", "password"):
        (folder / key).symlink_to(f"..data/{key}")
    over = False

    def turn() -> None:
        numbers = count(1)
        while not over:
            make(next(numbers))

    turning = Thread(target=turn)
    turning.start()
    try:
        for _ in range(300):
            answer = look_up(folder.parents[1])
            if isinstance(answer, Credential):
                assert answer.username == answer.password
            else:
                assert "replaced" in answer.message
    finally:
        over = True
        turning.join()


@pytest.mark.parametrize("out", ["../../../outside", "../../other/ses-smtp/password"])
def test_a_link_never_leads_out_of_its_namespace(lay: Lay, tmp_path: Path, out: str) -> None:
    (tmp_path / "outside").write_bytes(WORD)
    lay(SecretRef("other", "ses-smtp"), password=WORD)
    folder = lay(username=NAME)
    (folder / "acme" / "ses-smtp" / "password").symlink_to(out)
    (tmp_path / "secrets" / "acme" / "ses-smtp" / "password").read_bytes()
    assert "leads out" in refused(look_up(folder), "secret-invalid")


@pytest.mark.parametrize(
    "name", ["..", "../other/ses-smtp", "a/b", "", ".", "a\0b", "UPPER", "a\n"]
)
def test_a_name_is_never_a_path(lay: Lay, name: str) -> None:
    lay(SecretRef("other", "ses-smtp"), username=NAME, password=WORD)
    secrets = Secrets(str(lay(username=NAME, password=WORD)), {})
    for ref in (SecretRef("acme", name), SecretRef(name, "ses-smtp")):
        answer = secrets.credential(ref, HOST, PORT)
        assert isinstance(answer, SecretProblem)


def test_a_fifo_is_not_waited_for(lay: Lay) -> None:
    folder = lay(username=NAME)
    os.mkfifo(folder / "acme" / "ses-smtp" / "password")
    assert "not a regular file" in refused(look_up(folder), "secret-invalid")


def test_a_folder_in_the_place_of_a_key_and_a_file_in_the_place_of_a_secret(lay: Lay) -> None:
    folder = lay(username=NAME)
    (folder / "acme" / "ses-smtp" / "password").mkdir()
    refused(look_up(folder), "secret-invalid")
    (folder / "acme" / "file").write_bytes(WORD)
    answer = Secrets(str(folder), {}).credential(SecretRef("acme", "file"), HOST, PORT)
    assert isinstance(answer, SecretProblem)
    assert "is not a directory" in answer.message


def test_links_in_a_circle_and_links_to_nothing(lay: Lay) -> None:
    folder = lay(username=NAME)
    password = folder / "acme" / "ses-smtp" / "password"
    password.symlink_to("password")
    refused(look_up(folder), "secret-invalid")
    password.unlink()
    password.symlink_to("nothing")
    refused(look_up(folder), "secret-missing")


VARIABLES = {
    "SENDROUTE_SECRET_ACME_SES_SMTP_USERNAME": CANARY_NAME,
    "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD": CANARY_WORD,
}


def test_variables_are_a_credential() -> None:
    assert look_up(None, VARIABLES) == GOOD


def test_the_directory_decides_where_it_has_the_secret_and_never_mixes(lay: Lay) -> None:
    folder = lay(username=b"from-a-file")
    refused(look_up(folder, VARIABLES), "secret-missing")
    lay(password=b"file-word")
    assert look_up(folder, VARIABLES) == Credential("from-a-file", "file-word")


def test_variables_serve_where_the_directory_has_no_such_secret(lay: Lay) -> None:
    folder = lay(SecretRef("other", "x"), username=b"u", password=b"p")
    assert look_up(folder, VARIABLES) == GOOD


def test_two_references_that_mean_one_variable_get_neither() -> None:
    """Otherwise whoever may name a namespace and a secret could read a neighbour's password."""
    thief = SecretRef("acme-ses", "smtp")
    secrets = Secrets(None, VARIABLES, among=[SES, thief])
    for ref in (SES, thief):
        answer = secrets.credential(ref, HOST, PORT)
        assert isinstance(answer, SecretProblem)
        assert answer.code == "secret-ambiguous"
        assert str(thief) in answer.message
        assert str(SES) in answer.message
        assert CANARY_WORD not in answer.message


def test_a_dot_and_a_hyphen_are_an_underscore() -> None:
    variables = {"SENDROUTE_SECRET_A_B_C_D_USERNAME": "u", "SENDROUTE_SECRET_A_B_C_D_PASSWORD": "p"}
    ref = SecretRef("a-b", "c.d")
    assert Secrets(None, variables).credential(ref, HOST, PORT) == Credential("u", "p")


def test_a_variable_that_is_no_text() -> None:
    broken = VARIABLES | {
        "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD": os.fsdecode(WORD + b"\xff\xfe")
    }
    assert "not UTF-8" in refused(look_up(None, broken), "secret-invalid")


def test_nothing_anywhere_says_where_to_put_it(lay: Lay) -> None:
    assert "was not given" in refused(look_up(None), "secret-missing")
    folder = lay(SecretRef("other", "x"), username=b"u", password=b"p")
    assert f"is not in {folder}" in refused(look_up(folder), "secret-missing")


def test_a_preset_fills_in_the_username_and_the_secrets_own_wins(lay: Lay) -> None:
    folder = lay(password=WORD)
    secrets = Secrets(str(folder), {})
    assert secrets.credential(SES, HOST, PORT, "apikey") == Credential("apikey", CANARY_WORD)
    lay(username=NAME)
    assert Secrets(str(folder), {}).credential(SES, HOST, PORT, "apikey") == GOOD


def test_whether_there_are_secrets_to_look_at(lay: Lay) -> None:
    assert not Secrets(None, {"HOME": "/", "SENDROUTE_STORE": "x"}).given
    assert Secrets(None, VARIABLES).given
    assert Secrets(str(lay()), {}).given


# Destinations


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        ("smtp.provider.example\n", True),
        ("SMTP.Provider.Example.\r\n", True),
        ("smtp.provider.example:587", True),
        ("smtp.provider.example:465", False),
        ("# ours\nother.example\n  smtp.provider.example:587  # since May\n", True),
        ("# this one, and no other\nsmtp.provider.example\n", True),
        ("provider.example", False),
        ("evil-smtp.provider.example", False),
        ("", False),
        ("# nothing yet\n", False),
    ],
    ids=[
        "listed",
        "in another spelling",
        "with its port",
        "with another port",
        "among comments",
        "below a comment with a comma",
        "a parent domain is not meant",
        "nor another name that ends alike",
        "an empty list allows nothing",
        "nor does one of comments",
    ],
)
def test_a_secret_goes_only_where_its_owner_says(lay: Lay, listed: str, allowed: bool) -> None:
    folder = lay(username=NAME, password=WORD, allowed_hosts=listed.encode())
    if allowed:
        assert look_up(folder) == GOOD
    else:
        assert f"{HOST}:{PORT}" in refused(look_up(folder), "secret-not-bound")


@pytest.mark.parametrize("line", ["*.provider.example", "smtp.provider.example:", "a b", "x:99999"])
def test_a_list_that_is_half_understood_allows_nothing(lay: Lay, line: str) -> None:
    listed = f"{HOST}\n{line}\n".encode()
    told = refused(
        look_up(lay(username=NAME, password=WORD, allowed_hosts=listed)), "secret-not-bound"
    )
    assert line not in told


def test_names_in_other_scripts_are_compared_by_their_a_label(lay: Lay) -> None:
    folder = lay(username=NAME, password=WORD, allowed_hosts="smtp.BÜCHER.example".encode())
    secrets = Secrets(str(folder), {})
    assert secrets.credential(SES, "smtp.xn--bcher-kva.example", PORT) == GOOD


def test_what_is_not_bound_is_not_even_read(lay: Lay) -> None:
    """The password is a FIFO: to read it would be told."""
    folder = lay(username=NAME, allowed_hosts=b"other.example\n")
    os.mkfifo(folder / "acme" / "ses-smtp" / "password")
    refused(look_up(folder), "secret-not-bound")


def test_the_list_as_a_variable_takes_commas() -> None:
    listed = VARIABLES | {
        "SENDROUTE_SECRET_ACME_SES_SMTP_ALLOWED_HOSTS": f"other.example, {HOST}:{PORT}"
    }
    assert look_up(None, listed) == GOOD
    listed["SENDROUTE_SECRET_ACME_SES_SMTP_ALLOWED_HOSTS"] = "other.example"
    refused(look_up(None, listed), "secret-not-bound")
