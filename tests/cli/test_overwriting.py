"""No output replaces manifests: what they declare would be removed by the next apply."""

from pathlib import Path

import pytest

from .conftest import Program, account

pytestmark = pytest.mark.usefixtures("store")


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "manifests", "--out", "manifests/acme.yaml"),
        ("plan", "manifests", "-o", "json=manifests/acme.yaml"),
        ("plan", "manifests", "-o", "markdown=./manifests/../manifests/acme.yaml"),
        ("validate", "manifests", "-o", "sarif=manifests/acme.yaml"),
        ("apply", "manifests", "--auto-approve", "--write-lock", "manifests/acme.yaml"),
        ("sync", "manifests", "-o", "json=manifests/acme.yaml"),
        ("status", "-o", "json=manifests/acme.yaml"),
        ("routes", "-o", "csv=manifests/acme.yaml"),
        ("history", "-o", "json=manifests/acme.yaml"),
        ("explain", "shop.example.com", "-o", "json=manifests/acme.yaml"),
        ("backup", "new.db", "-o", "json=manifests/acme.yaml"),
        (
            "edit",
            "delete-domain",
            "news.example.com",
            "-o",
            "json=manifests/acme.yaml",
            "manifests",
        ),
        ("postfix", "config", "--dir", "tables", "-o", "json=manifests/acme.yaml"),
    ],
)
def test_an_output_does_not_replace_manifests(
    sendroute: Program, manifests: Path, arguments: tuple[str, ...]
) -> None:
    before = {path: path.read_bytes() for path in manifests.iterdir()}
    here = set(Path().iterdir())
    (manifests / "acme.yaml").write_bytes(before[manifests / "acme.yaml"] + b"# changed\n")
    before[manifests / "acme.yaml"] += b"# changed\n"
    result = sendroute(*arguments)
    assert result.status == 64
    assert "acme.yaml` holds manifests, which would be replaced: give another file." in result.err
    assert {path: path.read_bytes() for path in manifests.iterdir()} == before
    assert set(Path().iterdir()) == here


@pytest.mark.parametrize(
    "content",
    [
        '{"apiVersion":"sendroute.dev/v1alpha1","kind":"MailAccount"}',
        '{\n  "kind": "MailAccount",\n  "apiVersion" : "sendroute.dev/v1alpha1"\n}',
        "kind: List\nitems:\n  - apiVersion: 'sendroute.dev/v1alpha1'\n",
        "items:\n- kind: MailAccount\n  apiVersion: sendroute.dev/v2\n",
        "broken: [\n---\napiVersion: sendroute.dev/v1alpha1\r\n",
        r'{"apiVersion":"sendroute.dev\/v1alpha1","kind":"MailAccount"}',
        "apiVersion: >-\n  sendroute.dev/v1alpha1\nkind: MailAccount\n",
        "? apiVersion\n: sendroute.dev/v1alpha1\n",
        r'"\x61piVersion": sendroute.dev/v1alpha1',
        "apiVersion: sendroute.io/v1alpha1\nkind: MailAccount\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_manifests_are_known_however_they_are_written(
    sendroute: Program, content: str, encoding: str
) -> None:
    Path("all.json").write_text(content, encoding)
    assert sendroute("status", "-o", "json=all.json").status == 64


def test_manifests_with_another_ending_are_known_as_an_argument(
    sendroute: Program, manifests: Path
) -> None:
    (manifests / "acme.yaml").rename("acme.manifest")
    Path("link").symlink_to("acme.manifest")
    result = sendroute("plan", "manifests", "acme.manifest", "--out", "link")
    assert result.status == 64
    assert "`link` holds manifests" in result.err


def test_a_link_to_manifests_is_no_output(sendroute: Program) -> None:
    Path("report").symlink_to("manifests/acme.yaml")
    assert sendroute("status", "-o", "json=report").status == 64


@pytest.mark.parametrize("name", ["report.json", "report.yaml", "sendroute.lock", "plan.out"])
def test_an_output_replaces_an_output(sendroute: Program, manifests: Path, name: str) -> None:
    (manifests / "new.yaml").write_text(account("new").replace("v1alpha1", "v1alpha9"))
    for arguments in (
        ("plan", "manifests", "--out", name),
        ("plan", "manifests", "-o", f"json={name}"),
        ("apply", "manifests", "--auto-approve", "--write-lock", name),
        ("history", "-o", f"json={name}"),
        ("sync", "manifests", "-o", f"json={name}"),
    ):
        for _ in range(2):
            assert sendroute(*arguments).status < 64, arguments


def test_an_output_is_no_new_manifest(sendroute: Program, manifests: Path) -> None:
    for option in ("--out", "-ojson"):
        name = "manifests/new/plan.yaml"
        arguments = [option, name] if option == "--out" else [f"{option}={name}"]
        (manifests / "new").mkdir(exist_ok=True)
        result = sendroute("plan", "manifests", *arguments)
        assert result.status == 64
        assert f"`{name}` would be read as a manifest: give a file outside" in result.err
    for name in ("manifests/plan.json", "manifests/.plan.yaml"):
        assert sendroute("plan", "manifests", "--out", name).status == 0
    assert sendroute("plan", "manifests").status == 0


def test_what_only_quotes_manifests_may_be_replaced(sendroute: Program) -> None:
    Path("report.md").write_text(f"An account:\n\n{account('acme')}")
    assert sendroute("plan", "manifests", "-o", "markdown=report.md").status == 0
    Path("values.yaml").write_text("hint: |-\n  Write apiVersion: sendroute.dev/v1alpha1\n")
    Path("other.yaml").write_text("kind: Deployment\napiVersion: apps/v1\n---\nbroken: [\n")
    assert sendroute("plan", "manifests", "-o", "json=other.yaml").status == 0
    assert sendroute("plan", "manifests", "-o", "json=values.yaml").status == 0


@pytest.mark.parametrize("command", [("plan", "manifests"), ("export",), ("routes",)])
@pytest.mark.parametrize("name", ["sendroute.db", "sendroute.key", "copy", "secrets/acme/a/x"])
def test_an_output_replaces_no_store_no_key_and_no_secret(
    sendroute: Program, manifests: Path, command: tuple[str, ...], name: str
) -> None:
    assert manifests.exists()
    assert sendroute("backup", "copy").status == 0
    Path("secrets/acme/a").mkdir(parents=True)
    Path("secrets/acme/a/x").write_text("a secret")
    before = Path(name).read_bytes()
    result = sendroute("--secrets", "secrets", *command, "-o", f"json={name}")
    assert result.status == 64
    assert f"`{name}` " in result.err
    assert "give another file" in result.err
    assert Path(name).read_bytes() == before


def test_an_export_is_manifests_and_may_replace_some(sendroute: Program) -> None:
    for _ in range(2):
        assert sendroute("export", "-o", "yaml=all.yaml", "-o", "json=all.json").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "manifests", "--out", "output"),
        ("validate", "manifests", "-o", "json=output"),
        ("apply", "manifests", "--auto-approve", "--write-lock", "output"),
    ],
)
def test_output_that_replaced_manifests_removes_nothing(
    sendroute: Program, manifests: Path, arguments: tuple[str, ...]
) -> None:
    """However it came there, for example by a copy."""
    assert sendroute(*arguments).status == 0
    Path("output").rename(manifests / "acme.yaml")
    result = sendroute("apply", "manifests", "--auto-approve", "--remove-account", "acme/acme")
    assert result.status == 1
    assert "error unreadable  manifests/acme.yaml:1:1" in result.out
    assert "shop.example.com" in sendroute("routes").out
