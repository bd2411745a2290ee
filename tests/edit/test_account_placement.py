"""A new account goes where the layout of the tree says, and into no file of another tenant."""

from pathlib import Path

import pytest

from .conftest import Program
from .test_commands import PLATFORM


def account(namespace: str, name: str) -> str:
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{plan: nano}}
"""


def domain(namespace: str, name: str) -> str:
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: {name}-shop, namespace: {namespace}}}
spec: {{account: {name}, domain: {name}.example}}
"""


ACME, ZOO = account("acme", "acme"), account("zoo", "zoo")


@pytest.mark.parametrize(
    ("files", "new", "expected"),
    [
        pytest.param({"acme.yaml": ACME}, "globex/globex", "globex.yaml", id="a file each"),
        pytest.param(
            {"acme/a.yaml": ACME, "zoo/a.yaml": ZOO},
            "globex/globex", "globex/a.yaml", id="a directory each",
        ),
        pytest.param(
            {"acme/acme.yaml": ACME, "zoo/zoo.yaml": ZOO},
            "ns/globex", "ns/globex.yaml", id="as an export",
        ),
        pytest.param(
            {"acme/acme.yaml": ACME, "globex/first.yaml": account("globex", "first")},
            "globex/second", "globex/second.yaml", id="beside the tenant's first account",
        ),
        pytest.param(
            {"ns-acme/mail.yaml": account("ns-acme", "acme")},
            "ns-globex/globex", "ns-globex/mail.yaml", id="named after the namespace",
        ),
        pytest.param(
            {"globex/shop.yaml": domain("globex", "globex"), "zoo/zoo.yaml": ZOO},
            "globex/globex", "globex/globex.yaml", id="the directory of its documents",
        ),
        pytest.param(
            {"team-1/mail.yaml": ACME}, "globex/globex", "globex.yaml",
            id="the directory of one tenant with another name",
        ),
        pytest.param(
            {"team-1/mail.yaml": ACME, "team-2/mail.yaml": ZOO},
            "globex/globex", "globex.yaml", id="directories with other names",
        ),
        pytest.param(
            {"tenants/zoo/account.yaml": ZOO, "tenants/zoo/shop.yaml": domain("zoo", "zoo")},
            "globex/globex", "tenants/globex/account.yaml", id="one tenant's directory",
        ),
        pytest.param(
            {"all.yaml": f"{ACME}---\n{ZOO}"}, "globex/globex", "all.yaml", id="a shared file",
        ),
        pytest.param(
            {"customer-1.yaml": ACME}, "globex/globex", "globex.yaml",
            id="a file of another tenant with another name",
        ),
        pytest.param(
            {"customer-1.yaml": ACME, "globex.yaml": ZOO},
            "globex/globex", "globex-globex.yaml", id="a name that another tenant's file has",
        ),
    ],
)  # fmt: skip
def test_a_new_account_goes_into_no_file_of_another_tenant(
    sendroute: Program, workdir: Path, files: dict[str, str], new: str, expected: str
) -> None:
    tree = workdir / "m"
    for name, text in {"platform.yaml": PLATFORM, **files}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    ran = sendroute("edit", "add-account", new, "--plan", "nano", "m")
    assert ran.status == 0, ran
    name = new.partition("/")[2]
    holding = [
        str(path.relative_to(tree))
        for path in tree.rglob("*.yaml")
        if f"kind: MailAccount\nmetadata: {{name: {name}," in path.read_text()
        or f"kind: MailAccount\nmetadata:\n  name: {name}\n" in path.read_text()
    ]
    assert holding == [expected], ran


def test_a_tree_of_one_tenant_without_a_platform_has_a_common_top(
    sendroute: Program, workdir: Path
) -> None:
    (workdir / "m").mkdir()
    (workdir / "m/mail.yaml").write_text(ACME)
    ran = sendroute("edit", "add-account", "globex/globex", "--plan", "nano", "m")
    assert (ran.status, (workdir / "m/globex.yaml").exists()) == (0, True), ran
