"""Resolving a reference to its credential: files, links and variables, and all errors."""

import base64
import os
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from shutil import rmtree
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendroute.credentials.content import InvalidSecretError
from sendroute.credentials.directory import content_of
from sendroute.credentials.resolve import LocalSecrets, ResolvedSecret
from sendroute.credentials.variables import KEYS, is_variable, variable
from sendroute.model.credential import Credential
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretProblem, SecretRef

from .conftest import CANARY_NAME, CANARY_WORD, HOST, PORT, SES

WriteSecret = Callable[..., Path]
NAME, WORD = CANARY_NAME.encode(), CANARY_WORD.encode()
GOOD = Credential(CANARY_NAME, CANARY_WORD)
BOM = b"\xef\xbb\xbf"
WORD_16 = CANARY_WORD.encode("utf-16")
SOPS = b"ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"
SOPS_FILE = b'{"data": "ENC[AES256_GCM,data:AA==]", "sops": {"version": "3.9.0"}}'
SOPS_YAML = b"password: ENC[AES256_GCM,data:AA==]\nsops:\n    version: 3.9.0\n"
VAULT = b"$ANSIBLE_VAULT;1.1;AES256\n6162\n"
AGE = b"-----BEGIN AGE ENCRYPTED FILE-----\nYQ==\n-----END AGE ENCRYPTED FILE-----\n"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
PEM = b"-----BEGIN PRIVATE KEY-----\n" + WORD + b"\n-----END PRIVATE KEY-----\n"
PEM_LINE = PEM.replace(b"\n", b"\\n")
SPACES = "\u00a0\u200b".encode()


def look_up(directory: Path | None, variables: dict[str, str] | None = None) -> ResolvedSecret:
    secrets = LocalSecrets(str(directory) if directory else None, variables or {})
    return secrets.credential(SES, HOST, PORT)


def refused(answer: ResolvedSecret, code: str) -> str:
    """Check the code of a problem, and that no secret is shown; return the message."""
    assert isinstance(answer, SecretProblem), answer
    assert answer.code == code, answer
    text = f"{answer.message} {answer.hint}"
    for secret in (CANARY_NAME, CANARY_WORD, base64.b64encode(WORD).decode()):
        assert secret not in text
    assert str(SES) in answer.message
    return answer.message


@pytest.mark.parametrize(
    ("username", "password"),
    [(NAME, WORD), (NAME + b"\n", WORD + b"\n"), (NAME + b"\r\n", WORD + b"\r\n")],
    ids=["plain files", "one trailing newline is removed", "a trailing CRLF is removed"],
)
def test_a_credential_is_read_from_files(
    write_secret: WriteSecret, username: bytes, password: bytes
) -> None:
    assert look_up(write_secret(username=username, password=password)) == GOOD


def test_a_second_trailing_newline_is_a_control_character(write_secret: WriteSecret) -> None:
    message = refused(
        look_up(write_secret(username=NAME, password=WORD + b"\n\n")), "secret-invalid"
    )
    assert "password contains a control character" in message


def test_a_password_can_contain_spaces_and_other_scripts(write_secret: WriteSecret) -> None:
    assert look_up(write_secret(username=NAME, password=" pä:ss ✓ ".encode())) == Credential(
        CANARY_NAME, " pä:ss ✓ "
    )


@pytest.mark.parametrize(
    ("files", "code", "expected"),
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
        ({"username": NAME, "password": BOM + WORD}, "secret-invalid", "byte-order mark"),
        ({"username": BOM + NAME, "password": WORD}, "secret-invalid", "byte-order mark"),
        ({"username": NAME, "password": WORD_16}, "secret-invalid", "not UTF-8"),
        ({"username": NAME, "password": SOPS}, "secret-invalid", "encrypted by sops"),
        ({"username": SOPS, "password": WORD}, "secret-invalid", "encrypted by sops"),
        ({"username": NAME, "password": SOPS_FILE}, "secret-invalid", "encrypted by sops"),
        ({"username": NAME, "password": SOPS_YAML}, "secret-invalid", "encrypted by sops"),
        ({"username": NAME, "password": VAULT}, "secret-invalid", "encrypted by Ansible Vault"),
        ({"username": NAME, "password": AGE}, "secret-invalid", "encrypted by age"),
        ({"username": NAME, "password": PEM}, "secret-invalid", "in PEM form"),
        ({"username": NAME, "password": PEM_LINE}, "secret-invalid", "in PEM form"),
        ({"username": NAME, "password": LFS}, "secret-invalid", "Git LFS pointer"),
        ({"username": b"   ", "password": WORD}, "secret-invalid", "username consists of spaces"),
        ({"username": SPACES, "password": WORD}, "secret-invalid", "username consists of spaces"),
        ({"username": NAME, "password": b" \n"}, "secret-invalid", "password consists of spaces"),
    ],
    ids=[
        "no password",
        "no username",
        "an empty password",
        "only a newline",
        "invalid UTF-8",
        "a NUL",
        "a tab",
        "a C1 control",
        "a colon in the username",
        "a file that is too large",
        "longer than a line of AUTH allows",
        "a byte-order mark",
        "a byte-order mark in the username",
        "UTF-16",
        "a value that sops encrypted",
        "a username that sops encrypted",
        "a file that sops encrypted",
        "a file of YAML that sops encrypted",
        "an Ansible vault",
        "an age file",
        "a key in PEM form",
        "a key in PEM form on one line",
        "a Git LFS pointer",
        "a username of spaces",
        "a username of spaces that cannot be seen",
        "a password of spaces",
    ],
)
def test_an_invalid_secret_is_reported_without_its_value(
    write_secret: WriteSecret, files: dict[str, bytes], code: str, expected: str
) -> None:
    assert expected in refused(look_up(write_secret(**files)), code)


def test_the_longest_password_that_fits_in_auth_is_accepted(write_secret: WriteSecret) -> None:
    """12,288 octets of base64 encode 9,216: two NULs, the username, and this password."""
    answer = look_up(write_secret(username=b"user", password=b"x" * (9216 - 2 - 4)))
    assert isinstance(answer, Credential)
    refused(
        look_up(write_secret(username=b"user", password=b"x" * (9216 - 2 - 3))), "secret-invalid"
    )


def test_a_mounted_kubernetes_secret_is_read_through_its_links(write_secret: WriteSecret) -> None:
    directory = write_secret() / "acme" / "ses-smtp"
    (directory / "..2026_11_23").mkdir()
    (directory / "..2026_11_23" / "username").write_bytes(NAME)
    (directory / "..2026_11_23" / "password").write_bytes(WORD)
    (directory / "..data").symlink_to("..2026_11_23")
    for key in ("username", "password"):
        (directory / key).symlink_to(f"..data/{key}")
    assert look_up(directory.parents[1]) == GOOD


def test_a_secret_rotated_during_a_read_is_never_mixed(write_secret: WriteSecret) -> None:
    directory = write_secret() / "acme" / "ses-smtp"

    def mount(number: int) -> None:
        """Write a version as the kubelet does: into a new directory, then replace the link.
        Only the newest two stay: the reader lists the directory."""
        (directory / f"..{number}").mkdir()
        for key in ("username", "password"):
            (directory / f"..{number}" / key).write_text(f"{number:09}")
        (directory / "..next").symlink_to(f"..{number}")
        (directory / "..next").rename(directory / "..data")
        rmtree(directory / f"..{number - 2}", ignore_errors=True)

    mount(0)
    for key in ("username", "password"):
        (directory / key).symlink_to(f"..data/{key}")
    stopped = False

    def rotate() -> None:
        numbers = count(1)
        while not stopped:
            mount(next(numbers))

    rotation = Thread(target=rotate)
    rotation.start()
    try:
        for _ in range(300):
            answer = look_up(directory.parents[1])
            if isinstance(answer, Credential):
                assert answer.username == answer.password
            else:
                assert "replaced" in answer.message
    finally:
        stopped = True
        rotation.join()


@pytest.mark.parametrize("out", ["../../../outside", "../../other/ses-smtp/password"])
def test_a_link_never_leads_out_of_its_namespace(
    write_secret: WriteSecret, tmp_path: Path, out: str
) -> None:
    (tmp_path / "outside").write_bytes(WORD)
    write_secret(SecretRef("other", "ses-smtp"), password=WORD)
    directory = write_secret(username=NAME)
    (directory / "acme" / "ses-smtp" / "password").symlink_to(out)
    (tmp_path / "secrets" / "acme" / "ses-smtp" / "password").read_bytes()
    assert "leads out" in refused(look_up(directory), "secret-invalid")


@pytest.mark.parametrize("of", ["acme", "other", "sendroute-system"])
def test_the_keys_of_a_secret_elsewhere_are_not_listed(write_secret: WriteSecret, of: str) -> None:
    """A file of nearly the name `allowed-hosts` would be reported."""
    ref = SecretRef(of, "another", of_platform=of == "sendroute-system")
    directory = write_secret(ref, username=NAME, password=WORD)
    (directory / of / "another" / "allowed_hosts").touch()
    (directory / "acme").mkdir(exist_ok=True)
    (directory / "acme" / "ses-smtp").symlink_to(directory / of / "another")
    answer = look_up(directory)
    assert isinstance(answer, SecretProblem)
    text = answer.message + answer.hint
    assert ("leads out" in text, "allowed_hosts" in text) == (of != "acme", of == "acme")


@pytest.mark.parametrize(
    "name", ["..", "../other/ses-smtp", "a/b", "", ".", "a\0b", "UPPER", "a\n"]
)
def test_a_name_is_never_a_path(write_secret: WriteSecret, name: str) -> None:
    write_secret(SecretRef("other", "ses-smtp"), username=NAME, password=WORD)
    secrets = LocalSecrets(str(write_secret(username=NAME, password=WORD)), {})
    for ref in (SecretRef("acme", name), SecretRef(name, "ses-smtp")):
        answer = secrets.credential(ref, HOST, PORT)
        assert isinstance(answer, SecretProblem)


def test_a_fifo_is_refused_without_waiting(write_secret: WriteSecret) -> None:
    directory = write_secret(username=NAME)
    os.mkfifo(directory / "acme" / "ses-smtp" / "password")
    assert "not a regular file" in refused(look_up(directory), "secret-invalid")


def test_a_wrong_file_type_is_refused(write_secret: WriteSecret) -> None:
    directory = write_secret(username=NAME)
    (directory / "acme" / "ses-smtp" / "password").mkdir()
    refused(look_up(directory), "secret-invalid")
    (directory / "acme" / "file").write_bytes(WORD)
    answer = LocalSecrets(str(directory), {}).credential(SecretRef("acme", "file"), HOST, PORT)
    assert isinstance(answer, SecretProblem)
    assert "is not a directory" in answer.message


def test_circular_and_dangling_links_are_refused(write_secret: WriteSecret) -> None:
    directory = write_secret(username=NAME)
    password = directory / "acme" / "ses-smtp" / "password"
    password.symlink_to("password")
    answer = look_up(directory)
    refused(answer, "secret-invalid")
    assert isinstance(answer, SecretProblem)
    assert answer.hint == "Correct the link."
    password.unlink()
    password.symlink_to("nothing")
    refused(look_up(directory), "secret-missing")


VARIABLES = {
    "SENDROUTE_SECRET_ACME__SES_SMTP__USERNAME": CANARY_NAME,
    "SENDROUTE_SECRET_ACME__SES_SMTP__PASSWORD": CANARY_WORD,
}


def test_a_credential_is_read_from_variables() -> None:
    assert look_up(None, VARIABLES) == GOOD


def test_a_secret_in_the_directory_wins_over_variables(write_secret: WriteSecret) -> None:
    directory = write_secret(username=b"from-a-file")
    refused(look_up(directory, VARIABLES), "secret-missing")
    write_secret(password=b"file-word")
    assert look_up(directory, VARIABLES) == Credential("from-a-file", "file-word")


def test_variables_are_used_if_the_directory_does_not_have_the_secret(
    write_secret: WriteSecret,
) -> None:
    directory = write_secret(SecretRef("other", "x"), username=b"u", password=b"p")
    assert look_up(directory, VARIABLES) == GOOD


def test_hyphens_become_underscores_in_variable_names() -> None:
    variables = {
        "SENDROUTE_SECRET_A_B__C_D__USERNAME": "u",
        "SENDROUTE_SECRET_A_B__C_D__PASSWORD": "p",
    }
    ref = SecretRef("a-b", "c-d")
    assert LocalSecrets(None, variables).credential(ref, HOST, PORT) == Credential("u", "p")


LABELS = st.from_regex(r"[a-c]([a-c.-]{0,4}[a-c])?", fullmatch=True)
REFS = st.tuples(LABELS, LABELS).map(lambda parts: SecretRef(*parts))


@given(st.lists(REFS, min_size=2, max_size=30, unique=True))
def test_no_two_references_share_a_variable(refs: list[SecretRef]) -> None:
    names = [variable(ref, key) for ref in refs for key in KEYS]
    given = [name for name in names if name is not None]
    assert len(set(given)) == len(given)
    assert all(map(is_variable, given))


@given(st.lists(REFS, min_size=2, max_size=8, unique=True))
def test_a_reference_resolves_only_to_its_own_variables(refs: list[SecretRef]) -> None:
    """Whatever else is given: a variable belongs to one reference."""
    environment = {}
    for number, ref in enumerate(refs):
        for key in ("username", "password"):
            environment[variable(ref, key) or f"none {number}"] = f"{key} {number}"
    for number, ref in enumerate(refs):
        answer = LocalSecrets(None, environment).credential(ref, HOST, PORT)
        if variable(ref, "username") is None:
            assert isinstance(answer, SecretProblem)
        else:
            assert answer == Credential(f"username {number}", f"password {number}")


@pytest.mark.parametrize(
    "ref",
    [SecretRef("acme", "a--b"), SecretRef("a--b", "acme"), SecretRef("acme", "a.b")],
    ids=["two hyphens in the name", "two hyphens in the namespace", "a dot"],
)
def test_a_name_that_has_no_variable_is_read_from_files(
    write_secret: WriteSecret, ref: SecretRef
) -> None:
    variables = {
        f"SENDROUTE_SECRET_{namespace}{gap}{name}{gap}{key}": CANARY_WORD
        for namespace in (ref.namespace.upper(), ref.namespace.upper().replace("-", "_"))
        for name in (ref.name.upper(), re.sub(r"[.-]", "_", ref.name.upper()))
        for gap in ("_", "__")
        for key in ("USERNAME", "PASSWORD")
    }
    answer = LocalSecrets(None, variables).credential(ref, HOST, PORT)
    assert isinstance(answer, SecretProblem)
    assert answer.code == "secret-missing"
    assert "files" in answer.hint
    directory = write_secret(ref, username=NAME, password=WORD)
    assert LocalSecrets(str(directory), variables).credential(ref, HOST, PORT) == GOOD


EARLIER = {
    "SENDROUTE_SECRET_ACME_SES_SMTP_USERNAME": CANARY_NAME,
    "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD": CANARY_WORD,
}


def test_a_variable_of_the_earlier_form_is_reported_and_not_read() -> None:
    for ref in (SES, SecretRef("acme-ses", "smtp")):
        answer = LocalSecrets(None, EARLIER).credential(ref, HOST, PORT)
        assert isinstance(answer, SecretProblem)
        assert answer.code == "secret-missing"
        assert CANARY_WORD not in answer.message + answer.hint
        assert "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD have an earlier form" in answer.message
        assert str(variable(ref, "password")) in answer.hint
        assert answer.remedy is None, "variables are renamed without any option"
    half_renamed = {k: v for k, v in EARLIER.items() if k.endswith("PASSWORD")} | {
        "SENDROUTE_SECRET_ACME__SES_SMTP__USERNAME": CANARY_NAME
    }
    message = refused(look_up(None, half_renamed), "secret-missing")
    assert "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD has an earlier form" in message


def test_a_list_of_hosts_of_the_earlier_form_is_never_dropped() -> None:
    """The secret was bound; without its list it could be sent anywhere."""
    bound = VARIABLES | {"SENDROUTE_SECRET_ACME_SES_SMTP_ALLOWED_HOSTS": "other.example"}
    message = refused(look_up(None, bound), "secret-not-bound")
    assert "SENDROUTE_SECRET_ACME_SES_SMTP_ALLOWED_HOSTS" in message


# The platform's secrets

RELAY = SecretRef(PLATFORM_NAMESPACE, "managed-relay", of_platform=True)


def test_the_platform_reads_its_secrets_in_its_own_namespace(write_secret: WriteSecret) -> None:
    directory = write_secret(RELAY, username=NAME, password=WORD)
    assert LocalSecrets(str(directory), {}).credential(RELAY, HOST, PORT) == GOOD
    variables = {
        "SENDROUTE_SECRET_SENDROUTE_SYSTEM__MANAGED_RELAY__USERNAME": CANARY_NAME,
        "SENDROUTE_SECRET_SENDROUTE_SYSTEM__MANAGED_RELAY__PASSWORD": CANARY_WORD,
    }
    assert LocalSecrets(None, variables).credential(RELAY, HOST, PORT) == GOOD


def test_a_tenant_never_gets_a_secret_of_the_platform(write_secret: WriteSecret) -> None:
    directory = write_secret(RELAY, username=NAME, password=WORD)
    secrets = LocalSecrets(str(directory), {})
    for ref, code in (
        (SecretRef(PLATFORM_NAMESPACE, "managed-relay"), "secret-not-bound"),
        (SecretRef("default", "managed-relay"), "secret-missing"),
    ):
        answer = secrets.credential(ref, HOST, PORT)
        assert isinstance(answer, SecretProblem)
        assert answer.code == code
        assert CANARY_WORD not in answer.message + answer.hint
    assert secrets.credential(RELAY, HOST, PORT) == GOOD


def test_the_platform_never_gets_a_secret_of_a_tenant(write_secret: WriteSecret) -> None:
    directory = write_secret(
        SecretRef("default", "managed-relay"), username=b"tenant", password=b"tenants"
    )
    answer = LocalSecrets(str(directory), {}).credential(RELAY, HOST, PORT)
    assert isinstance(answer, SecretProblem)
    assert answer.code == "secret-missing"
    assert f"{directory}/default/managed-relay" in answer.hint, "where an earlier version read it"


@pytest.mark.parametrize("replaced", ["acme", "acme/ses-smtp"])
def test_a_directory_that_becomes_a_link_after_its_check_is_not_followed(
    write_secret: WriteSecret, monkeypatch: pytest.MonkeyPatch, replaced: str
) -> None:
    write_secret(SecretRef(PLATFORM_NAMESPACE, "ses-smtp"), password=b"the platform's")
    directory = write_secret(password=WORD)
    (directory / "other" / "ses-smtp").mkdir(parents=True)
    (directory / "other" / "ses-smtp" / "password").write_bytes(b"the platform's")
    targets = {"acme": "other", "acme/ses-smtp": f"../{PLATFORM_NAMESPACE}/ses-smtp"}
    real_path = os.path.realpath

    def checked(path: str, *, strict: bool = False) -> str:
        real = str(real_path(path, strict=strict))
        if strict:
            (directory / replaced).rename(directory / "old")
            (directory / replaced).symlink_to(targets[replaced])
        return real

    monkeypatch.setattr(os.path, "realpath", checked)
    with pytest.raises(InvalidSecretError, match="was replaced while it was read"):
        content_of(str(directory), SES, "password")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("default", PLATFORM_NAMESPACE),
        ("default", "."),
        ("default", f"{PLATFORM_NAMESPACE}/team"),
        (PLATFORM_NAMESPACE, "default"),
    ],
)
def test_a_link_never_makes_one_directory_the_platforms_and_a_tenants(
    write_secret: WriteSecret, link: str, target: str
) -> None:
    directory = write_secret()
    secret = directory / target / "managed-relay"
    secret.mkdir(parents=True)
    for key in ("username", "password"):
        (secret / key).write_bytes(WORD)
    (directory / link).symlink_to(target)
    secrets = LocalSecrets(str(directory), {})
    tenant = secrets.credential(SecretRef("default", "managed-relay"), HOST, PORT)
    assert isinstance(tenant, SecretProblem), tenant
    assert (
        isinstance(secrets.credential(RELAY, HOST, PORT), SecretProblem)
        or link != PLATFORM_NAMESPACE
    )


def test_the_platforms_directory_may_be_a_link_to_outside(
    write_secret: WriteSecret, tmp_path: Path
) -> None:
    directory = write_secret()
    (tmp_path / "mounted" / "managed-relay").mkdir(parents=True)
    (tmp_path / "mounted" / "managed-relay" / "username").write_bytes(NAME)
    (tmp_path / "mounted" / "managed-relay" / "password").write_bytes(WORD)
    (directory / PLATFORM_NAMESPACE).symlink_to(tmp_path / "mounted")
    assert LocalSecrets(str(directory), {}).credential(RELAY, HOST, PORT) == GOOD


def test_a_variable_that_is_not_text_is_refused() -> None:
    broken = VARIABLES | {
        "SENDROUTE_SECRET_ACME__SES_SMTP__PASSWORD": os.fsdecode(WORD + b"\xff\xfe")
    }
    assert "not UTF-8" in refused(look_up(None, broken), "secret-invalid")


def test_a_missing_secret_is_reported_with_where_to_put_it(write_secret: WriteSecret) -> None:
    assert "was not given" in refused(look_up(None), "secret-missing")
    directory = write_secret(SecretRef("other", "x"), username=b"u", password=b"p")
    assert f"is not in {directory}" in refused(look_up(directory), "secret-missing")


def test_the_files_are_the_last_way_that_a_hint_names_before_their_option() -> None:
    answer = look_up(None)
    assert isinstance(answer, SecretProblem)
    assert answer.remedy == Configure(Setting.SECRETS)
    assert answer.hint == (
        "Set SENDROUTE_SECRET_ACME__SES_SMTP__USERNAME and …__PASSWORD, or write the files username"
        " and password into acme/ses-smtp/ in the directory of secrets."
    )


def test_a_preset_supplies_the_username_unless_the_secret_has_it(write_secret: WriteSecret) -> None:
    directory = write_secret(password=WORD)
    secrets = LocalSecrets(str(directory), {})
    assert secrets.credential(SES, HOST, PORT, "apikey") == Credential("apikey", CANARY_WORD)
    write_secret(username=NAME)
    assert LocalSecrets(str(directory), {}).credential(SES, HOST, PORT, "apikey") == GOOD


def test_whether_any_secret_source_is_configured(write_secret: WriteSecret) -> None:
    assert not LocalSecrets(None, {"HOME": "/", "SENDROUTE_STORE": "x"}).given
    assert LocalSecrets(None, VARIABLES).given
    assert LocalSecrets(str(write_secret()), {}).given


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
        (f"\ufeff{HOST}\n", True),
    ],
    ids=[
        "listed",
        "in another spelling",
        "with its port",
        "with another port",
        "among comments",
        "below a comment with a comma",
        "a parent domain does not match",
        "a name with the same ending does not match",
        "an empty list allows nothing",
        "a list of comments allows nothing",
        "behind a byte-order mark",
    ],
)
def test_a_secret_is_used_only_for_its_allowed_hosts(
    write_secret: WriteSecret, listed: str, allowed: bool
) -> None:
    directory = write_secret(username=NAME, password=WORD, allowed_hosts=listed.encode())
    if allowed:
        assert look_up(directory) == GOOD
    else:
        assert f"{HOST}:{PORT}" in refused(look_up(directory), "secret-not-bound")


@pytest.mark.parametrize("line", ["*.provider.example", "smtp.provider.example:", "a b", "x:99999"])
def test_a_partly_invalid_list_allows_nothing(write_secret: WriteSecret, line: str) -> None:
    listed = f"{HOST}\n{line}\n".encode()
    message = refused(
        look_up(write_secret(username=NAME, password=WORD, allowed_hosts=listed)),
        "secret-not-bound",
    )
    assert line not in message


def test_allowed_hosts_are_compared_by_their_a_label(write_secret: WriteSecret) -> None:
    directory = write_secret(
        username=NAME, password=WORD, allowed_hosts="smtp.BÜCHER.example".encode()
    )
    secrets = LocalSecrets(str(directory), {})
    assert secrets.credential(SES, "smtp.xn--bcher-kva.example", PORT) == GOOD


def test_a_secret_for_other_hosts_is_not_read(write_secret: WriteSecret) -> None:
    """The password is a FIFO, so a read would be reported."""
    directory = write_secret(username=NAME, allowed_hosts=b"other.example\n")
    os.mkfifo(directory / "acme" / "ses-smtp" / "password")
    refused(look_up(directory), "secret-not-bound")


def test_allowed_hosts_in_a_variable_are_separated_by_commas() -> None:
    listed = VARIABLES | {
        "SENDROUTE_SECRET_ACME__SES_SMTP__ALLOWED_HOSTS": f"other.example, {HOST}:{PORT}"
    }
    assert look_up(None, listed) == GOOD
    listed["SENDROUTE_SECRET_ACME__SES_SMTP__ALLOWED_HOSTS"] = "other.example"
    refused(look_up(None, listed), "secret-not-bound")


@pytest.mark.parametrize(
    "key",
    [
        *("allowed_hosts", "allowed-host", "Allowed-Hosts", "ALLOWED_HOSTS", "allowed-hosts.txt"),
        *("allowedHosts", "alowed-hosts", "allowed-hosts\x1b", "allowed-ports"),
    ],
)
def test_a_list_of_hosts_under_nearly_its_name_allows_nothing(
    write_secret: WriteSecret, key: str
) -> None:
    directory = write_secret(username=NAME, password=WORD)
    (directory / "acme" / "ses-smtp" / key).write_text(f"{HOST}\n")
    message = refused(look_up(directory), "secret-not-bound")
    assert message.isprintable()


def test_what_is_said_of_a_list_of_ports_can_be_followed(write_secret: WriteSecret) -> None:
    """Who lists ports wants to bind the secret, and a list of ports alone would bind nothing."""
    directory = write_secret(username=NAME, password=WORD)
    key = directory / "acme" / "ses-smtp" / "allowed-ports"
    key.write_text("587\n")
    problem = look_up(directory)
    assert isinstance(problem, SecretProblem)
    assert problem.hint == "Rename the key to allowed-hosts, with one host or host:port a line."
    key.unlink()
    key.with_name("allowed-hosts").write_text(f"{HOST}:587\n")
    assert look_up(directory) == GOOD


@pytest.mark.parametrize("key", ["allowed-hosts~", "allowed-hosts.bak", "..data", "ca.crt", "host"])
def test_other_keys_of_a_secret_change_nothing(write_secret: WriteSecret, key: str) -> None:
    directory = write_secret(username=NAME, password=WORD, allowed_hosts=HOST.encode())
    (directory / "acme" / "ses-smtp" / key).write_text("other.example\n")
    assert look_up(directory) == GOOD


@pytest.mark.parametrize("key", ["ALLOWED_HOST", "ALLOWEDHOSTS", "allowed_hosts"])
def test_a_variable_of_nearly_that_name_allows_nothing(key: str) -> None:
    listed = VARIABLES | {f"SENDROUTE_SECRET_ACME__SES_SMTP__{key}": HOST}
    refused(look_up(None, listed), "secret-not-bound")
    listed["SENDROUTE_SECRET_ACME__SES_SMTP__ALLOWED_HOSTS"] = HOST
    assert look_up(None, listed) == GOOD
