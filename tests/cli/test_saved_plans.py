"""A saved plan does what was shown, or refuses."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Program, account, domain, profile, write


@pytest.fixture
def saved(sendroute: Program, manifests: Path) -> Path:
    """A plan for an empty store, saved."""
    sendroute("init")
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    return manifests.parent / "change.plan"


def test_it_is_private_and_holds_what_was_shown(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    told = json.loads(saved.read_text())
    assert told["format_version"] == "1.1"
    assert told["report"]["summary"]["create"] == 5


def test_it_is_applied_without_asking_whatever_the_files_say_by_now(
    sendroute: Program, saved: Path
) -> None:
    (saved.parent / "manifests/acme.yaml").unlink()
    assert sendroute("apply", "change.plan").status == 0
    assert "shop.example.com" in sendroute("routes").out


def test_applied_twice_it_is_stale_and_says_at_which_revision_it_was_applied(
    sendroute: Program, saved: Path
) -> None:
    assert saved.is_file()
    sendroute("apply", "change.plan")
    ran = sendroute("apply", "change.plan", "-o", "json=r.json")
    assert (ran.status, "stale-plan" in ran.err) == (3, True)
    (found,) = json.loads(Path("r.json").read_text())["findings"]
    assert found["code"] == "stale-plan"
    # The platform and the account are two commits.
    assert "applied already, at revisions 1 to 2." in found["message"]


SWITCH = ", applyToAll: {id: go, route: {profile: ses}, confirm: {domains: 2}}"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "documents",
    [
        [account("acme"), domain("acme", "shop.example.com", "{profile: ses}")],
        [
            account("acme", more=SWITCH),
            domain("acme", "shop.example.com", "{profile: ses}"),
            domain("acme", "news.example.com"),
        ],
    ],
    ids=["a removal", "an apply-all"],
)
def test_applied_long_ago_it_still_says_so(
    sendroute: Program, manifests: Path, documents: list[str]
) -> None:
    ses = profile("acme", "ses")
    write(manifests / "acme.yaml", *documents, ses)
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    assert sendroute("apply", "change.plan").status == 0
    write(manifests / "acme.yaml", *documents, ses, domain("acme", "later.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    ran = sendroute("apply", "change.plan")
    assert (ran.status, "stale-plan" in ran.err) == (3, True)
    assert "The saved plan was applied already, at revision 3." in ran.err


@pytest.mark.usefixtures("store")
def test_an_equal_change_before_the_plan_is_not_taken_for_it(
    sendroute: Program, manifests: Path
) -> None:
    base = (manifests / "acme.yaml").read_text()
    more = f"{base}---\n{domain('acme', 'more.example.com')}"
    for text in (more, base):
        (manifests / "acme.yaml").write_text(text)
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
    (manifests / "acme.yaml").write_text(more)
    sendroute("plan", "manifests", "--out", "change.plan")
    other = f"{base}---\n{domain('acme', 'more.example.com', '{profile: ses}')}"
    (manifests / "acme.yaml").write_text(other)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    ran = sendroute("apply", "change.plan")
    assert (ran.status, "no longer fits the store" in ran.err) == (3, True), ran


def test_it_is_stale_where_one_account_would_be_decided_otherwise(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    more = domain("acme", "more.example.com")
    with (manifests / "acme.yaml").open("a") as stream:
        stream.write(f"---\n{more}")
    sendroute("plan", "manifests", "--out", "change.plan")
    sendroute("apply", "manifests", "--auto-approve", "--only", "bolt")
    ran = sendroute("apply", "change.plan")
    assert (ran.status, "bolt/bolt" in ran.err, "acme" in ran.err) == (3, True, False)
    assert "more.example.com" not in sendroute("routes").out


def test_what_happened_to_other_accounts_does_not_matter(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    with (manifests / "acme.yaml").open("a") as stream:
        stream.write("---\n" + domain("acme", "more.example.com"))
    sendroute("plan", "manifests", "--only", "acme", "--out", "change.plan")
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    sendroute("apply", "manifests", "--auto-approve", "--only", "bolt")
    assert sendroute("apply", "change.plan").status == 0
    assert {"more.example.com", "bolt.example.com"} <= set(sendroute("routes").out.split())


def test_it_is_for_the_store_it_was_made_for(
    sendroute: Program, saved: Path, tmp_path: Path
) -> None:
    assert saved.is_file()
    other = f"sqlite:///{tmp_path}/other.db"
    sendroute("--store", other, "init")
    ran = sendroute("--store", other, "apply", "change.plan")
    assert (ran.status, "another store" in ran.err) == (3, True)


def test_it_keeps_the_limits_of_the_guards(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    names = [f"d{n}.example.com" for n in range(10)]
    write(manifests / "acme.yaml", account("acme"), *(domain("acme", name) for name in names))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "acme.yaml", account("acme"), *(domain("acme", name) for name in names[4:]))
    assert sendroute("plan", "manifests", "--out", "refused.plan").status == 3
    words = ("plan", "manifests", "--max-remove-percent", "40", "--out", "allowed.plan")
    assert sendroute(*words).status == 0
    ran = sendroute("apply", "refused.plan")
    assert (ran.status, "too-many-removals" in ran.out) == (3, True)
    lower = sendroute("apply", "allowed.plan", "--max-remove-percent", "39")
    assert (lower.status, "too-many-removals" in lower.out) == (3, True), "a given limit wins"
    assert sendroute("apply", "allowed.plan").status == 0
    assert sendroute("routes").out.count(".example.com") == 6


def edit_domain(text: str) -> str:
    return text.replace("news.example.com", "evil.example.com")


def edit_report(text: str) -> str:
    return text.replace('"create":5', '"create":1').replace('"create": 5', '"create": 1')


BROKEN: dict[str, tuple[Callable[[str], str], int]] = {
    "cut off": (lambda text: text[: len(text) // 2], 1),
    "edited where it counts": (edit_domain, 1),
    "edited where people look": (edit_report, 1),
    "of another format": (lambda t: t.replace('"format_version":"1.1"', '"format_version":"9"'), 1),
    "nested beyond any parser's limit": (
        lambda t: t.replace('"only":', f'"x":{"[" * 100_000}{"]" * 100_000},"only":', 1),
        1,
    ),
    "with a null where none can be": (lambda t: t.replace('"only":[', '"only":[null,'), 1),
}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_saved_plan_that_is(case: str, sendroute: Program, saved: Path) -> None:
    damage, status = BROKEN[case]
    before = saved.read_text()
    saved.write_text(damage(before))
    assert saved.read_text() != before
    ran = sendroute("apply", "change.plan")
    assert (ran.status, "The saved plan `change.plan`" in ran.err) == (status, True), ran
    assert "No domains" in sendroute("routes").out


def test_reformatted_by_a_tool_it_is_refused_not_read_as_manifests(
    sendroute: Program, saved: Path
) -> None:
    saved.write_text(json.dumps(json.loads(saved.read_text()), indent=2))
    ran = sendroute("apply", "change.plan")
    assert (ran.status, "changed after it was made" in ran.err) == (1, True)


@pytest.mark.parametrize("more", [("manifests",), ("--only", "acme")], ids=["a path", "only"])
def test_it_is_applied_alone_and_whole(
    sendroute: Program, saved: Path, more: tuple[str, ...]
) -> None:
    assert saved.is_file()
    assert sendroute("apply", "change.plan", *more).status == 64


def test_a_move_between_accounts_is_saved_whole(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), shop)
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "news.example.com"))
    sendroute("plan", "manifests", "--out", "change.plan")
    assert sendroute("apply", "change.plan").status == 0
    assert "bolt/bolt" in sendroute("routes", "news.example.com").out


def test_a_plan_of_one_account_leaves_out_what_its_rival_would_change(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    with (manifests / "acme.yaml").open("a") as stream:
        stream.write("---\n" + domain("acme", "more.example.com"))
    rival = [domain("bolt", "shop.example.com"), domain("bolt", "bolt.example.com")]
    write(manifests / "bolt.yaml", account("bolt"), *rival)
    sendroute("plan", "manifests", "--only", "acme", "--out", "change.plan")
    applied = sendroute("apply", "change.plan")
    assert "stale-plan" not in applied.err, applied
    listed = sendroute("routes").out
    assert "more.example.com" in listed
    assert "bolt.example.com" not in listed
