"""An edit of what is suspended says that it is not applied."""

from pathlib import Path

import pytest

from .conftest import Program
from .test_by_store import DOMAIN, PLATFORM, PROFILE

ACCOUNT = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: a, namespace: t}}
spec: {{plan: pro{more}}}
"""


def write(more: str = "", *, domain: str = "") -> None:
    """Two accounts in one file: b, and a behind it. ``more`` is of account a, ``domain`` of its
    first domain."""
    other = ACCOUNT.format(more="").replace("name: a", "name: b")
    first = DOMAIN.format(name="one", account="a", route="{profile: ses}")
    documents = [
        PLATFORM,
        "---\n" + other,
        DOMAIN.format(name="three", account="b", route="{managed: {}}"),
        "---\n" + ACCOUNT.format(more=more),
        PROFILE.format(name="ses", account="a", more=""),
        first.replace("}}\n", f"}}{domain}}}\n"),
        DOMAIN.format(name="two", account="a", route="{profile: ses}"),
    ]
    Path("m.yaml").write_text("".join(documents))


@pytest.mark.parametrize("has_store", [True, False])
@pytest.mark.parametrize(
    "edit",
    [
        "set-route one.example --managed",
        "set-default a --managed",
        "set-plan a nano",
        "apply-to-all a --profile ses",
        "add-domain new.example --account a",
        "add-profile new --account a --provider postmark",
        "delete-domain one.example",
        "delete-profile ses --undeclare",
        "rename-profile ses ireland",
    ],
)
@pytest.mark.usefixtures("workdir")
def test_an_edit_in_a_suspended_account_says_so(
    sendroute: Program, edit: str, *, has_store: bool
) -> None:
    write()
    if has_store:
        assert sendroute("init", "-q").status == 0
        assert sendroute("apply", "m.yaml", "--auto-approve").status == 0
    write(", suspend: true")
    done = sendroute("edit", *edit.split(), "m.yaml")
    assert done.status == 0, done
    line = "Account t/a is suspended, so what the manifests declare of it now is not applied."
    assert done.err.count(line) == 1
    assert "info suspended  m.yaml:" in done.err


@pytest.mark.usefixtures("workdir")
def test_an_edit_of_a_suspended_domain_says_so(sendroute: Program) -> None:
    write(domain=", suspend: true")
    done = sendroute("edit", "set-route", "one.example", "--managed", "m.yaml")
    assert done.status == 0
    line = "one.example is suspended, so what the manifests declare of it now is not applied."
    assert done.err.count(line) == 1
    for edit in ("set-route two.example --managed", "delete-domain two.example"):
        done = sendroute("edit", *edit.split(), "m.yaml")
        assert (done.status, "is suspended" in done.err) == (0, False)


@pytest.mark.parametrize("edit", ["set-route three.example --unconfigured", "set-plan b nano"])
@pytest.mark.usefixtures("workdir")
def test_an_edit_of_another_account_does_not_say_so(sendroute: Program, edit: str) -> None:
    """Also if the edit moves the documents of the suspended account, which are behind."""
    write(", suspend: true")
    done = sendroute("edit", *edit.split(), "m.yaml")
    assert (done.status, "is suspended" in done.err) == (0, False), done
    moved = sendroute("edit", "add-domain", "x.example", "--account", "b", "m.yaml")
    assert (moved.status, "is suspended" in moved.err) == (0, False), moved
