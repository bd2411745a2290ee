"""A suspended domain counts for the confirmation of an apply-all, and is not switched."""

from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, account, domain, profile, write


def tree(path: Path, *, confirm: int | None, overrides: str = "") -> Path:
    """Two domains, of which one is suspended, and an apply-all."""
    confirmed = "" if confirm is None else f", confirm: {{domains: {confirm}}}"
    apply_all = f", applyToAll: {{id: to-ses, route: {{profile: ses}}{confirmed}}}"
    suspended = domain("acme", "shop.example.com", "{managed: {}}")
    return write(
        path,
        PLATFORM,
        account("acme", more=apply_all),
        profile("acme", "ses"),
        f"{suspended}  suspend: true\n{overrides}",
        domain("acme", "news.example.com", "{managed: {}}"),
    )


@pytest.fixture
def applied(sendroute: Program, workdir: Path) -> Path:
    """A store with both domains on the managed relay."""
    path = workdir / "tree.yaml"
    domains = (domain("acme", f"{name}.example.com", "{managed: {}}") for name in ("shop", "news"))
    write(path, PLATFORM, account("acme"), profile("acme", "ses"), *domains)
    assert sendroute("init", "-q").status == 0
    assert sendroute("apply", "tree.yaml", "--auto-approve").status == 0
    return path


def test_plan_and_history_count_the_domains_that_are_switched(
    sendroute: Program, applied: Path
) -> None:
    tree(applied, confirm=2)
    planned = sendroute("plan", "tree.yaml")
    assert planned.status == 0
    assert "The apply-all to-ses switches 1 domain of account acme/acme to" in planned.out
    done = sendroute("apply", "tree.yaml", "--auto-approve", "--write-lock", "sendroute.lock")
    assert done.status == 0
    entry = sendroute("history", "acme/acme").out
    assert "The apply-all to-ses switches 1 domain of account" in entry
    assert '"domains":1' in Path("sendroute.lock").read_text().replace(" ", "")
    assert "managed" in sendroute("routes", "shop.example.com").out


@pytest.mark.parametrize("overrides", ["", "  overrides: to-ses\n"])
@pytest.mark.parametrize(
    ("confirm", "message"),
    [
        (None, "would switch 1 domain of account acme/acme to profile ses, but is not confirmed."),
        (1, "is confirmed for 1 domain, but would switch 1 of account acme/acme."),
    ],
)
def test_a_refusal_says_which_domains_count_and_stay(
    sendroute: Program, applied: Path, confirm: int | None, message: str, overrides: str
) -> None:
    tree(applied, confirm=confirm, overrides=overrides)
    planned = sendroute("plan", "tree.yaml")
    assert planned.status == 3
    text = " ".join(planned.out.split())
    assert f"{message} 1 suspended domain stays, but must be confirmed too." in text
    assert "confirm: {domains: 2}" in text
    tree(applied, confirm=2, overrides=overrides)
    assert sendroute("plan", "tree.yaml").status == 0
