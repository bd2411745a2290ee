"""What `postfix config` writes, and how it is added to a Postfix that has parameters already."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.model.codes import code_of
from sendroute.model.platform import Platform
from sendroute.model.problem import ProblemError
from sendroute.postfix import installed
from sendroute.postfix.files import absolute
from sendroute.postfix.installed import Postfix
from sendroute.postfix.parameters import usable

from .conftest import Run
from .programs import environment, program, settle

OURS = ("smtp/inet/chroot", "rewrite/unix/chroot")
"""What Debian's own configuration decides otherwise."""


Install = Callable[..., subprocess.CompletedProcess[str]]
Postconf = Callable[..., str]


@pytest.fixture
def install(run: Run, config: Path, tmp_path: Path) -> Install:
    def add(
        *words: str, status: int | None = 0, replace: tuple[str, ...] = OURS, path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        replaced = (word for name in replace for word in ("--replace", name))
        options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
        return run(
            "postfix", "config", "--install", *options, *replaced, *words, status=status, path=path
        )

    return add


@pytest.fixture
def postconf(config: Path) -> Postconf:
    def ask(*words: str) -> str:
        command = (str(program("postconf")), "-c", str(config), *words)
        done = subprocess.run(
            command, env=environment(config), capture_output=True, text=True, check=True
        )
        settle(config)
        return done.stdout

    return ask


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_debians_own_configuration_is_not_changed_without_consent(
    install: Install, config: Path, tmp_path: Path
) -> None:
    before = contents(config)
    refused = install(replace=(), status=3).stderr
    assert set(re.findall(r"--replace (\S+chroot)", refused)) == set(OURS)
    assert "postfix-chroot" in refused
    assert contents(config) == before
    assert not (tmp_path / "tables").exists(), "nothing was written either"


def test_a_second_installation_changes_nothing(install: Install, config: Path) -> None:
    first = install().stdout
    assert "default_transport = retry:" in first
    assert "then restart Postfix" in first
    assert "sendroute-starttls/unix" in first
    before = contents(config)
    assert install(replace=()).stdout == "Nothing to change.\n"
    assert contents(config) == before


def test_the_rest_of_the_configuration_stays(install: Install, postconf: Postconf) -> None:
    before, services = set(postconf("-n").splitlines()), set(postconf("-M").splitlines())
    install()
    assert before <= set(postconf("-n").splitlines())
    left = {line for line in services if not re.search(r"smtpd|trivial-rewrite", line)}
    assert left <= set(postconf("-M").splitlines())
    assert "mynetworks" not in "\n".join(set(postconf("-n").splitlines()) - before)


def test_what_is_added_by_hand_is_what_is_installed(
    run: Run, install: Install, config: Path, tmp_path: Path, postconf: Postconf
) -> None:
    tables = tmp_path / "tables"
    run("postfix", "config", "--dir", str(tables))
    (config / "main.cf").write_text(
        "\n".join(
            line
            for line in (config / "main.cf").read_text().splitlines()
            if not line.startswith(("mydestination", "smtp_tls_"))
        )
    )
    for name in ("main.cf", "master.cf"):
        with (config / name).open("a") as file:
            file.write("\n" + (tables / name).read_text())
    settle(config)
    for service in OURS:
        postconf("-F", f"{service}=n")
    done = install(replace=())
    # Nobody signs in here, so the installation leaves out the comparison with logins; a Postfix
    # that compares nevertheless is fine.
    assert done.stdout == "Nothing to change.\n"


def test_the_platform_is_what_the_connection_test_obeys(
    install: Install, postconf: Postconf
) -> None:
    install()
    overrides = dict(
        line.split("/")[2].split(" = ", 1)
        for line in postconf("-P").splitlines()
        if line.startswith("sendroute-tls/unix/") and not line.endswith("=")
        for line in [line.replace("/etc/", "|etc|").replace("sqlite:/", "")]
        if len(line.split("/")) == 3
    )
    assert overrides["smtp_helo_name"] == "out.example.test"
    assert overrides["smtp_tls_CAfile"] == "|etc|our-ca.pem"
    assert overrides["smtp_connect_timeout"] == overrides["smtp_helo_timeout"] == "12s"
    assert overrides["smtp_sasl_mechanism_filter"] == "plain, login"
    assert overrides["smtp_pix_workarounds"] == "delay_dotcrlf"
    assert (overrides["smtp_always_send_ehlo"], overrides["smtp_never_send_ehlo"]) == ("yes", "no")
    assert overrides["smtp_tls_wrappermode"] == "yes"


def test_a_parameter_that_mail_needs_is_refused_with_both_values(
    install: Install, config: Path, postconf: Postconf
) -> None:
    postconf("-e", "default_transport=smtp:[old.example]")
    before = contents(config)
    refused = install(status=3).stderr
    assert "postfix-setting" in refused
    assert "smtp:[old.example]" in refused
    assert "--replace default_transport" in refused
    assert contents(config) == before
    replaced = install(replace=(*OURS, "default_transport")).stdout
    assert "(was `smtp:[old.example]`)" in replaced


def test_a_choice_that_mail_does_not_need_is_kept_with_a_warning(
    install: Install, postconf: Postconf
) -> None:
    postconf("-e", "transport_maps=hash:/etc/postfix/transport")
    kept = install().stderr
    assert "postfix-bypass" in kept
    assert "hash:/etc/postfix/transport" in postconf("-h", "transport_maps")
    install(replace=(*OURS, "transport_maps"))
    assert postconf("-h", "transport_maps").strip() == ""


@pytest.mark.parametrize(
    "parameter", ["virtual_mailbox_domains=box.test", "virtual_mailbox_maps=inline:{a@box.test=a}"]
)
def test_mailboxes_are_kept_with_a_warning(
    install: Install, postconf: Postconf, parameter: str
) -> None:
    assert "virtual_mailbox" not in install().stderr
    postconf("-e", parameter)
    name, _, value = parameter.partition("=")
    kept = install(replace=())
    assert kept.stdout == "Nothing to change.\n"
    assert f"Postfix's virtual_mailbox_domains is `{value}`" in kept.stderr
    assert value in postconf("-h", name)


def test_a_merge_by_hand_is_accepted(install: Install, postconf: Postconf) -> None:
    postconf("-e", "smtpd_sender_restrictions=reject_non_fqdn_sender")
    refused = install(status=3).stderr
    needed = re.search(r"only with\s+`([^`]*)`", refused)
    assert needed is not None, refused
    merged = f"reject_non_fqdn_sender, {' '.join(needed[1].split())}"
    postconf("-e", f"smtpd_sender_restrictions={merged}")
    install()
    assert postconf("-h", "smtpd_sender_restrictions").strip() == merged


@pytest.mark.parametrize(
    "earlier", ["permit_mynetworks", "reject_non_fqdn_sender, permit", "warn_if_reject"]
)
@pytest.mark.parametrize("name", ["smtpd_sender_restrictions", "smtpd_data_restrictions"])
def test_what_permits_senders_before_is_no_merge(
    install: Install,
    run: Run,
    postconf: Postconf,
    config: Path,
    tmp_path: Path,
    name: str,
    earlier: str,
) -> None:
    install()
    installed_value = postconf("-h", name).strip()
    postconf("-e", f"{name}={earlier}, {installed_value}")
    refused = install(replace=(), status=3).stderr
    assert f"Postfix's {name} is set to `{earlier}, " in " ".join(refused.split())
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    checked = " ".join(run("postfix", "check", *options, status=1).stdout.split())
    assert f"postfix-differs Postfix's {name} is `{earlier}, " in checked
    install(replace=(name,))
    assert postconf("-h", name).strip() == installed_value


@pytest.mark.parametrize("name", ["sender_canonical_maps", "canonical_maps", "masquerade_domains"])
def test_what_replaces_senders_is_kept_with_a_warning(
    install: Install, postconf: Postconf, name: str
) -> None:
    assert name not in install().stderr
    postconf("-e", f"{name}=x.test")
    kept = install(replace=())
    assert kept.stdout == "Nothing to change.\n"
    assert f"Postfix's {name} is `x.test`: mail from an address" in " ".join(kept.stderr.split())


@pytest.mark.parametrize(
    "name",
    [
        "sender_dependent_default_transport_maps",
        "default_transport",
        "allow_percent_hack",
        "empty_address_default_transport_maps_lookup_key",
    ],
)
def test_a_service_that_routes_by_overrides_is_refused(
    install: Install, run: Run, postconf: Postconf, config: Path, tmp_path: Path, name: str
) -> None:
    install()
    same = ",".join(postconf("-h", name).split(", ")).strip()
    if " " not in same:
        postconf("-P", f"rewrite/unix/{name}={same}")
    assert install(replace=()).stdout == "Nothing to change.\n"
    postconf("-P", f"rewrite/unix/{name}=smtp")
    overridden = f"Postfix's rewrite/unix/{name} is `smtp`, so the service rewrite/unix"
    assert overridden in " ".join(install(status=3).stderr.split())
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    checked = run("postfix", "check", *options, status=1).stdout
    assert f"error postfix-setting {overridden}" in " ".join(checked.split())


@pytest.mark.parametrize(
    "name",
    ["smtpd_null_access_lookup_key", "empty_address_default_transport_maps_lookup_key"],
)
def test_another_key_of_the_null_sender_is_a_difference(
    install: Install, run: Run, postconf: Postconf, config: Path, tmp_path: Path, name: str
) -> None:
    install()
    postconf("-e", f"{name}=null")
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    checked = " ".join(run("postfix", "check", *options, status=1).stdout.split())
    assert f"postfix-differs Postfix's {name} is `null`, but must be `<>`." in checked


def test_the_environment_and_earlier_restrictions_are_kept(
    install: Install, postconf: Postconf
) -> None:
    postconf("-e", "import_environment=TZ LANG=de HOSTALIASES=/old")
    install()
    words = postconf("-h", "import_environment").split()
    assert words[:2] == ["TZ", "LANG=de"]
    assert [word for word in words if word.startswith("HOSTALIASES=")] == words[2:]
    restrictions = postconf("-h", "smtpd_sender_restrictions").strip()
    postconf("-e", f"smtpd_sender_restrictions=reject_non_fqdn_sender {restrictions}")
    assert install().stdout == "Nothing to change.\n"


def test_what_was_installed_before_is_replaced_without_consent(
    install: Install, postconf: Postconf
) -> None:
    """Clients sign in since then, so that the restrictions are others."""
    install()
    assert "mismatch" not in postconf("-h", "smtpd_sender_restrictions")
    installed_value = postconf("-h", "smtpd_sender_restrictions").strip()
    postconf("-e", f"smtpd_sender_restrictions=reject_non_fqdn_sender, {installed_value}")
    postconf("-e", "smtpd_sasl_auth_enable=yes")
    assert install(replace=()).stdout.endswith("postfix reload\n"), "its environment is the same"
    restrictions = postconf("-h", "smtpd_sender_restrictions")
    assert restrictions.startswith(
        "reject_non_fqdn_sender, reject_known_sender_login_mismatch, check_sender_access"
    )
    data = postconf("-h", "smtpd_data_restrictions")
    assert data.startswith("reject_known_sender_login_mismatch, permit_sasl_authenticated,")
    assert install(replace=()).stdout == "Nothing to change.\n"


def test_tables_in_another_directory_are_a_change_of_its_own_values(
    install: Install, postconf: Postconf, tmp_path: Path
) -> None:
    install()
    moved = str(tmp_path / "moved")
    install("--dir", moved, replace=())
    for line in postconf("-n").splitlines():
        assert f"{tmp_path}/tables" not in line, line
    assert f"sqlite:{moved}/access.cf" in postconf("-h", "smtpd_sender_restrictions")


def test_what_an_earlier_version_installed_is_replaced_without_consent(
    install: Install, postconf: Postconf, tmp_path: Path
) -> None:
    install()
    postconf("-e", "default_transport=retry:4.7.1 as an earlier version said it")
    assert "postfix-setting" in install(replace=(), status=3).stderr, "nobody knows it"
    note = tmp_path / "tables/installed.cf"
    text = re.sub(
        "default_transport = .*",
        "default_transport = retry:4.7.1 as an earlier version said it",
        note.read_text(),
    )
    note.write_text(text)
    install(replace=())
    assert "at present" in postconf("-h", "default_transport")


def test_the_routes_of_a_version_without_a_note_are_replaced_and_a_strangers_are_refused(
    install: Install, postconf: Postconf, config: Path, tmp_path: Path
) -> None:
    parameter, directory = "sender_dependent_default_transport_maps", f"{tmp_path}/tables"
    install()
    written = postconf("-h", parameter)
    (tmp_path / "tables/installed.cf").unlink()
    earlier = f"sqlite:{directory}/transport.cf, sqlite:{directory}/transport-null.cf"
    postconf("-e", f"{parameter}={earlier}")
    install(replace=())
    assert postconf("-h", parameter) == written
    (tmp_path / "tables/installed.cf").unlink()
    for stranger in ("sqlite:/etc/postfix/transport.cf", f"{earlier}, hash:/etc/postfix/routes"):
        postconf("-e", f"{parameter}={stranger}")
        before = contents(config)
        refused = install(replace=(), status=3).stderr
        assert f"Postfix's {parameter} is set to `{stranger}`" in refused
        assert contents(config) == before


def test_a_value_that_is_not_utf8_keeps_its_bytes(
    install: Install, config: Path, tmp_path: Path
) -> None:
    value = b"import_environment = TZ PLACE=caf\xe9"
    with (config / "main.cf").open("ab") as file:
        file.write(value + b"\n")
    settle(config)
    assert "HOSTALIASES" in install().stdout
    for file in (config / "main.cf", tmp_path / "tables/installed.cf"):
        assert value + b" HOSTALIASES=" in file.read_bytes()
    assert install(replace=()).stdout == "Nothing to change.\n"


def test_a_damaged_file_is_written_again(run: Run, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    run("postfix", "config", "--dir", str(tables))
    (tables / "main.cf").write_bytes(b"relayhost = \xff\n")
    assert "main.cf" in run("postfix", "config", "--dir", str(tables)).stdout
    assert b"\xff" not in (tables / "main.cf").read_bytes()


def test_no_link_in_the_directory_is_followed(
    install: Install, config: Path, tmp_path: Path
) -> None:
    tables, other = tmp_path / "tables", tmp_path / "other"
    tables.mkdir()
    other.write_text("default_transport = smtp:[old.example]\n")
    other.chmod(0o600)
    for name in ("main.cf", ".main.cf.new", "installed.cf", ".installed.cf.new"):
        (tables / name).symlink_to(other)
    with (config / "main.cf").open("a") as file:
        file.write("default_transport = smtp:[old.example]\n")
    settle(config)
    assert "Postfix's default_transport is set to" in install(status=3).stderr
    install(replace=(*OURS, "default_transport"))
    assert other.read_text() == "default_transport = smtp:[old.example]\n"
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    for name in ("main.cf", "installed.cf"):
        assert stat.S_IMODE((tables / name).lstat().st_mode) == 0o644
        assert not (tables / name).is_symlink()


def test_the_mode_of_a_file_is_the_same_with_every_umask(run: Run, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    before = os.umask(0o077)
    try:
        run("postfix", "config", "--dir", str(tables))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tables.iterdir()} == {0o644}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(
    run: Run, install: Install, config: Path, tmp_path: Path
) -> None:
    tables, before = tmp_path / "tables", contents(config)
    tables.mkdir()
    os.chown(tables, 12345, -1)
    for done in (run("postfix", "config", "--dir", str(tables), status=1), install(status=1)):
        assert "unsafe-directory" in done.stderr
    assert list(tables.iterdir()) == []
    assert contents(config) == before


def test_a_users_change_of_an_installed_value_needs_consent(
    install: Install, postconf: Postconf
) -> None:
    install()
    installed_value = postconf("-h", "smtpd_sender_restrictions").strip()
    postconf("-e", f"smtpd_sender_restrictions={installed_value.replace('reject', 'permit')}")
    refused = install(replace=(), status=3).stderr
    assert "--install --replace smtpd_sender_restrictions" in refused


def test_a_domain_of_named_clients_is_closed_where_nobody_signs_in(
    install: Install, postconf: Postconf
) -> None:
    install()
    permitted, _, closed = postconf("-h", "smtpd_data_restrictions").strip().partition(", ")
    assert permitted == "permit_sasl_authenticated"
    assert closed.startswith("check_sender_access sqlite:")
    assert closed.endswith("/senders-closed.cf")


def test_a_service_that_asks_nobody_is_refused_like_other_choices(
    install: Install, run: Run, postconf: Postconf, config: Path, tmp_path: Path
) -> None:
    postconf("-P", "smtp/inet/smtpd_sender_restrictions=permit")
    postconf("-e", "default_transport=smtp:[old.example]")
    before = contents(config)
    overridden = "smtp/inet/smtpd_sender_restrictions is `permit`"
    assert overridden in install(status=3).stderr
    assert overridden in install(replace=(*OURS, "default_transport"), status=3).stderr
    assert contents(config) == before

    postconf("-X", "default_transport")
    postconf("-PX", "smtp/inet/smtpd_sender_restrictions")
    install()
    postconf("-P", "smtp/inet/smtpd_sender_restrictions=permit")
    assert overridden in install(status=3).stderr
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    assert f"error postfix-setting Postfix's {overridden}" in " ".join(
        run("postfix", "check", *options, status=1).stdout.split()
    )


def test_an_uninstalled_postfix_fails_the_check_with_each_difference(
    run: Run, config: Path, tmp_path: Path
) -> None:
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    text = run("postfix", "check", *options, status=1).stdout
    for code in ("postfix-differs", "postfix-not-running", "tables-missing", "postfix-bypass"):
        assert code in text
    assert "Postfix has no service sendroute-none/unix." in text
    for name in ("default_transport", *OURS):
        assert f"Postfix's {name} is" in text


def test_the_check_names_only_what_differs(
    run: Run, install: Install, postconf: Postconf, config: Path, tmp_path: Path
) -> None:
    install()
    postconf("-P", "sendroute-tls/unix/smtp_helo_name=old.example.test")
    postconf("-P", "sendroute-tls/unix/smtp_bind_address=192.0.2.1")
    postconf("-e", "smtpd_sasl_auth_enable=yes")
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    out = tmp_path / "out.json"
    run("postfix", "check", *options, "-o", f"json={out}", status=1)
    differing = [
        finding
        for finding in json.loads(out.read_text())["findings"]
        if finding["code"] == "postfix-differs"
    ]
    assert {finding["message"] for finding in differing} == {
        "Postfix's sendroute-tls/unix/smtp_helo_name is `old.example.test`, but must be"
        " `out.example.test`.",
        "Postfix's sendroute-tls/unix/smtp_bind_address is `192.0.2.1`, but must be not set.",
        "Postfix's smtpd_sender_restrictions lacks `reject_known_sender_login_mismatch`.",
        "Postfix's smtpd_data_restrictions lacks `reject_known_sender_login_mismatch`.",
    }
    command = f"sendroute postfix config {' '.join(options)} --install"
    assert {finding["hint"] for finding in differing} == {
        f"Change it, and what else differs: {command}"
    }
    install(replace=())
    assert "postfix-differs" not in run("postfix", "check", *options, status=1).stdout


def test_a_missing_definition_is_written_by_the_command_that_the_hint_names(
    run: Run, config: Path, tmp_path: Path
) -> None:
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    command = f"sendroute postfix config --dir {tmp_path}/tables"
    run("postfix", "config", *options[:2])
    assert "lacks" not in run("postfix", "check", *options, status=1).stdout
    for name in ("access.cf", "unknown-senders"):
        (tmp_path / "tables" / name).unlink()
    out = tmp_path / "out.json"
    run("postfix", "check", *options, "-o", f"json={out}", status=1)
    missing = {
        finding["message"]: finding["hint"]
        for finding in json.loads(out.read_text())["findings"]
        if finding["code"] == "tables-missing" and "lacks" in finding["message"]
    }
    message = (
        f"The directory {tmp_path}/tables lacks access.cf, unknown-senders, which"
        " Postfix's parameters refer to."
    )
    assert missing == {message: f"Write these definitions of tables: {command}"}


def test_the_check_makes_postfix_log_nothing(run: Run, config: Path, tmp_path: Path) -> None:
    """Postfix's programs write to the mail log what they write to standard error."""
    noise = tmp_path / "noise"
    fake = stand_in(tmp_path, f"exec 2>>{noise}", "postmap")
    options = ("--dir", str(tmp_path / "tables"), "--postfix-config-dir", str(config))
    run("postfix", "check", *options, status=1, path=fake)
    assert noise.read_text() == ""


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 9000])
def test_damaged_tables_are_a_finding_of_the_check(
    run: Run, config: Path, tmp_path: Path, content: bytes
) -> None:
    tables = tmp_path / "tables"
    run("postfix", "config", "--dir", str(tables))
    (tables / "aliases").touch()
    (tables / "tables.sqlite").write_bytes(content)
    options = ("--dir", str(tables), "--postfix-config-dir", str(config))
    assert "tables-damaged" in run("postfix", "check", *options, status=1).stderr


@pytest.mark.parametrize(
    ("absent", "package"),
    [
        ("sqlite", "postfix-sqlite"),
        ("library", "postfix-sqlite"),
        ("cyrus", "libsasl2-modules"),
    ],
)
def test_a_missing_package_is_named(
    install: Install, config: Path, tmp_path: Path, absent: str, package: str
) -> None:
    """A Postfix that was built without it lists no such type."""
    if absent == "sqlite":
        (config / "dynamicmaps.cf").write_text("")
    elif absent == "library":
        (config / "dynamicmaps.cf").write_text("sqlite nothing.so dict_sqlite_open\n")
    fake = stand_in(tmp_path, 'case "$*" in *-A) exit 0;; esac' if absent == "cyrus" else "")
    refused = install(status=None, path=fake)
    assert refused.returncode == 1
    assert "postfix-package" in refused.stderr
    assert package in refused.stderr


def test_an_old_postfix_is_refused(install: Install, tmp_path: Path) -> None:
    fake = stand_in(tmp_path, 'case "$*" in *mail_version) echo 3.4.23; exit 0;; esac')
    refused = install(status=None, path=fake)
    assert refused.returncode == 1
    assert "Postfix 3.4.23 is older than 3.5" in refused.stderr


def test_missing_plugins_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installed, "_PLUGINS", (str(tmp_path),))
    monkeypatch.delenv("SASL_PATH", raising=False)
    (tmp_path / "libplain.so.2").touch()
    assert installed._missing_plugins() == ["LOGIN"]


def test_no_postfix_is_one_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installed, "_PROGRAMS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProblemError) as caught:
        Postfix(None).missing_requirements()
    assert [finding.code for finding in caught.value.findings] == ["postfix-missing"]


def test_a_relative_file_of_authorities_is_refused() -> None:
    assert usable(None) is None
    absolute_file = Platform(None, (), ca_file="/etc/ca.pem")
    assert usable(absolute_file) is absolute_file
    with pytest.raises(ProblemError, match=r"ca\.pem is a relative path"):
        usable(Platform(None, (), ca_file="../ca.pem"))


@pytest.mark.parametrize("name", ["a b", "a,b", "a$b", "a'b", "a{b"])
def test_a_directory_that_postfixs_files_cannot_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        absolute(str(tmp_path / name))
    assert code_of(caught.value.findings[0].code) == "invalid-value"


def stand_in(directory: Path, first: str, name: str = "postconf") -> str:
    """A directory with a program of Postfix that does something itself before."""
    fake = directory / "bin"
    fake.mkdir()
    script = fake / name
    script.write_text(f'#!/bin/sh\n{first}\nexec "{program(name)}" "$@"\n')
    script.chmod(0o755)
    return str(fake)
