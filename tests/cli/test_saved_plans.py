"""A saved plan applies exactly what was shown, or it is refused."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sendroute.reconcile.saved_plan import SavedFinding, SavedPlan, encode, is_saved_plan

from .conftest import Program, account, domain, git, profile, write


@pytest.fixture
def saved(sendroute: Program, manifests: Path) -> Path:
    """A saved plan for an empty store."""
    sendroute("init")
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    return manifests.parent / "change.plan"


def test_a_saved_plan_is_private_and_contains_the_report(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    document = json.loads(saved.read_text())
    assert document["format_version"] == "1.9"
    assert document["report"]["summary"]["create"] == 5


def test_a_saved_plan_is_applied_without_a_question_after_the_manifests_changed(
    sendroute: Program, saved: Path
) -> None:
    (saved.parent / "manifests/acme.yaml").unlink()
    assert sendroute("apply", "change.plan").status == 0
    assert "shop.example.com" in sendroute("routes").out


@pytest.mark.usefixtures("store")
def test_a_refusal_has_the_same_position_when_the_saved_plan_is_applied(
    sendroute: Program, manifests: Path
) -> None:
    too_few = account("acme", more=SWITCH.replace("2", "1"))
    names = ("shop.example.com", "news.example.com")
    domains = (domain("acme", name) for name in names)
    write(manifests / "acme.yaml", too_few, profile("acme", "ses"), *domains)
    planned = sendroute("plan", "manifests", "--out", "change.plan", "-o", "json")
    applied = sendroute("apply", "change.plan", "-o", "json")
    (before,), (after,) = (json.loads(result.out)["findings"] for result in (planned, applied))
    assert before["code"] == "confirmation-exceeded"
    assert before["position"]["column"] > 1
    assert after == before


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("only", [(), ("--only", "acme/acme")])
def test_a_saved_plan_knows_which_account_nothing_defines(
    sendroute: Program, manifests: Path, only: tuple[str, ...]
) -> None:
    names = ("shop.example.com", "news.example.com")
    write(manifests / "acme.yaml", account("acme"), *(domain("acme", name) for name in names))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    typo = domain("acne", names[0]).replace("namespace: acne", "namespace: acme")
    route = domain("acme", names[1], "{unconfigured: {}}")
    write(manifests / "acme.yaml", account("acme"), typo, route)
    status = 4 if only else 1
    assert sendroute("plan", "manifests", *only, "--out", "change.plan").status == status
    applied = sendroute("apply", "change.plan")
    assert (applied.status, "shop.example.com waits for account acme/acne" in applied.out) == (
        status,
        True,
    )
    lines = [line.split()[1:3] for line in sendroute("routes").out.splitlines()]
    assert ["shop.example.com", "managed"] in lines
    assert ["news.example.com", "unconfigured"] in lines


@pytest.mark.usefixtures("store")
def test_a_saved_plan_of_one_account_keeps_a_profile_that_names_no_account(
    sendroute: Program, manifests: Path
) -> None:
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), shop)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    typo = profile("acne", "ses").replace("namespace: acne", "namespace: acme")
    route = domain("acme", "news.example.com", "{unconfigured: {}}")
    write(manifests / "acme.yaml", account("acme"), typo, route, shop)
    options = ("--only", "acme/acme", "--out", "change.plan")
    assert sendroute("plan", "manifests", *options).status == 4
    assert sendroute("apply", "change.plan").status == 4
    lines = [line.split()[1:4] for line in sendroute("routes").out.splitlines()]
    assert ["shop.example.com", "profile", "ses"] in lines


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("only", [("--only", "acme/acme"), ()])
def test_a_saved_plan_keeps_a_profile_that_its_new_account_cannot_take(
    sendroute: Program, manifests: Path, only: tuple[str, ...]
) -> None:
    bolt = account("bolt").replace("namespace: bolt", "namespace: acme")
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), bolt, profile("acme", "ses"), shop)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    moved = profile("bolt", "ses").replace("namespace: bolt", "namespace: acme")
    error = domain("bolt", "b.example", "{profile: gone}").replace(
        "namespace: bolt", "namespace: acme"
    )
    write(manifests / "acme.yaml", account("acme"), bolt, moved, shop, *(() if only else (error,)))
    planned = sendroute("plan", "manifests", *only, "--out", "change.plan")
    assert "Profile ses of account acme/acme is not removed yet" in planned.out, planned
    applied = sendroute("apply", "change.plan")
    assert applied.status == planned.status == (4 if only else 1), applied
    lines = [line.split()[1:4] for line in sendroute("routes").out.splitlines()]
    assert ["shop.example.com", "profile", "ses"] in lines


@pytest.mark.usefixtures("store")
def test_a_saved_plan_older_than_the_commit_applied_since_removes_nothing(
    sendroute: Program, manifests: Path
) -> None:
    top = manifests.parent

    def commit(*domains: str) -> None:
        documents = (domain("acme", name) for name in domains)
        write(manifests / "acme.yaml", account("acme"), *documents)
        git(top, "add", "manifests")
        git(top, "commit", "-q", "-m", "x")

    git(top, "init", "-q", "-b", "main")
    commit("shop.example.com", "news.example.com")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    commit("shop.example.com")
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    commit("shop.example.com", "news.example.com")
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example"))
    git(top, "add", "manifests")
    git(top, "commit", "-q", "-m", "bolt")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    applied = sendroute("apply", "change.plan")
    assert applied.status == 3, applied
    assert "news.example.com" in sendroute("routes").out


def test_a_saved_plan_that_was_applied_is_stale_and_reports_its_revisions(
    sendroute: Program, saved: Path
) -> None:
    assert saved.is_file()
    sendroute("apply", "change.plan")
    result = sendroute("apply", "change.plan", "-o", "json=r.json")
    assert (result.status, "stale-plan" in result.err) == (3, True)
    (stale,) = json.loads(Path("r.json").read_text())["findings"]
    assert stale["code"] == "stale-plan"
    # The platform and the account are two commits.
    assert "applied already, at revisions 1 to 2." in stale["message"]


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
def test_an_applied_plan_is_recognised_after_later_changes(
    sendroute: Program, manifests: Path, documents: list[str]
) -> None:
    ses = profile("acme", "ses")
    write(manifests / "acme.yaml", *documents, ses)
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    assert sendroute("apply", "change.plan").status == 0
    write(manifests / "acme.yaml", *documents, ses, domain("acme", "later.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    result = sendroute("apply", "change.plan")
    assert (result.status, "stale-plan" in result.err) == (3, True)
    assert "change.plan was applied already, at revision 3." in result.err


@pytest.mark.usefixtures("store")
def test_an_equal_change_before_the_plan_does_not_count_as_applied(
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
    result = sendroute("apply", "change.plan")
    assert (result.status, "no longer fits the store" in result.err) == (3, True), result


def test_a_saved_plan_is_stale_if_the_decision_for_an_account_changed(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    more = domain("acme", "more.example.com")
    with (manifests / "acme.yaml").open("a") as stream:
        stream.write(f"---\n{more}")
    sendroute("plan", "manifests", "--out", "change.plan")
    sendroute("apply", "manifests", "--auto-approve", "--only", "bolt")
    result = sendroute("apply", "change.plan")
    assert (result.status, "bolt/bolt" in result.err, "acme" in result.err) == (3, True, False)
    assert "more.example.com" not in sendroute("routes").out


def test_changes_to_other_accounts_do_not_make_a_saved_plan_stale(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    with (manifests / "acme.yaml").open("a") as stream:
        stream.write("---\n" + domain("acme", "more.example.com"))
    sendroute("plan", "manifests", "--only", "acme", "--out", "change.plan")
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    sendroute("apply", "manifests", "--auto-approve", "--only", "bolt")
    assert sendroute("apply", "change.plan").status == 0
    assert {"more.example.com", "bolt.example.com"} <= set(sendroute("routes").out.split())


def test_a_saved_plan_is_refused_by_another_store(
    sendroute: Program, saved: Path, tmp_path: Path
) -> None:
    assert saved.is_file()
    other = f"sqlite:///{tmp_path}/other.db"
    sendroute("--store", other, "init")
    result = sendroute("--store", other, "apply", "change.plan")
    assert (result.status, "another store" in result.err) == (3, True)


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


def lose_domains(manifests: Path) -> None:
    write(manifests / "bolt.yaml", account("bolt"), *(domain("bolt", f"{n}.bolt") for n in "abcd"))


def lose_account(manifests: Path) -> None:
    (manifests / "bolt.yaml").unlink()


def reroute_domains(manifests: Path) -> None:
    file = manifests / "platform.yaml"
    file.write_text(
        file.read_text().replace("name: pro, managed: true", "name: pro, managed: false")
    )


def go_back(manifests: Path) -> None:
    """The tree lacks the commit that is applied, and would remove what that one added."""
    write(manifests / "late.yaml", domain("bolt", "late.example.com"))


@pytest.mark.parametrize("change", [lose_domains, lose_account, reroute_domains, go_back])
def test_the_hint_of_a_guard_that_refuses_a_saved_plan_lets_it_through(
    change: Callable[[Path], None], sendroute: Program, store: Path
) -> None:
    """Every option of the hints is copied as it is; the whole change has a limit of its own."""
    manifests = store.parent / "manifests"
    names = [f"{letter}.bolt" for letter in "abcdefghijklm"]
    write(manifests / "bolt.yaml", account("bolt"), *(domain("bolt", name) for name in names))
    git(store.parent, "init", "-q")
    git(store.parent, "add", "manifests")
    git(store.parent, "commit", "-qm", "one")
    change(manifests)
    if change is go_back:
        git(store.parent, "add", "manifests")
        git(store.parent, "commit", "-qm", "two")
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
        git(store.parent, "checkout", "-q", "HEAD~1")
        (manifests / "late.yaml").unlink(missing_ok=True)
    else:
        git(store.parent, "stash", "-q")
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
        git(store.parent, "stash", "pop", "-q")
    assert sendroute("plan", "manifests", "--out", "refused.plan").status == 3
    refused = sendroute("apply", "refused.plan")
    hints = re.findall(
        r"(--(?:max|remove|allow)-\S+)(?: (\d+|\w+/\w+))?$", refused.out, re.MULTILINE
    )
    assert (refused.status, bool(hints)) == (3, True), refused
    for refusal in refused.out.split("refused ")[1:]:
        assert re.search(r"hint: .*--\S+", refusal), refusal
    highest = dict(sorted(hints, key=lambda hint: len(hint[1])))  # several accounts have hints
    options = [word for option in highest.items() for word in option if word]
    applied = sendroute("apply", "refused.plan", *options)
    assert applied.status == 0, (options, applied)
    again = sendroute("apply", "refused.plan", *options)
    assert (again.status, "was applied already" in again.err) == (3, True), again


def edit_domain(text: str) -> str:
    return text.replace("news.example.com", "evil.example.com")


def edit_report(text: str) -> str:
    return text.replace('"create":5', '"create":1').replace('"create": 5', '"create": 1')


BROKEN: dict[str, tuple[Callable[[str], str], int]] = {
    "cut off": (lambda text: text[: len(text) // 2], 1),
    "edited in its changes": (edit_domain, 1),
    "edited in its report": (edit_report, 1),
    "of another format": (
        lambda t: re.sub('"format_version":"1[.0-9]+"', '"format_version":"9"', t),
        1,
    ),
    "nested beyond any parser's limit": (
        lambda t: t.replace('"only":', f'"x":{"[" * 100_000}{"]" * 100_000},"only":', 1),
        1,
    ),
    "with an invalid null": (lambda t: t.replace('"only":[', '"only":[null,'), 1),
}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_damaged_saved_plan_is_refused_and_nothing_is_applied(
    case: str, sendroute: Program, saved: Path
) -> None:
    damage, status = BROKEN[case]
    before = saved.read_text()
    saved.write_text(damage(before))
    assert saved.read_text() != before
    result = sendroute("apply", "change.plan")
    assert (result.status, "The saved plan change.plan" in result.err) == (status, True), result
    assert "No domains" in sendroute("routes").out


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut in its first field": lambda data: data[:20],
    "cut in its marker": lambda data: data[:26],
    "cut behind its marker": lambda data: data[:60],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-2],
    "with a changed first byte": lambda data: b"x" + data[1:],
    "without its first bytes": lambda data: data[5:],
    "with a changed marker": lambda data: data.replace(b"saved-plan", b"saved-plbn", 1),
    "with a byte in its marker that is no text": lambda data: data[:15] + b"\xe9" + data[16:],
    "with a byte that is no text": lambda data: data[:200] + b"\xe9" + data[201:],
    "with NULs at its end": lambda data: data[:300] + bytes(len(data) - 300),
    "saved as UTF-16": lambda data: data.decode().encode("utf-16"),
    "saved as UTF-16, big-endian": lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    "with a byte-order mark, and cut": lambda data: b"\xef\xbb\xbf" + data[:40],
    "with a report of another type": lambda data: data.replace(
        b'"action":"create"', b'"action":7', 1
    ),
    "pretty-printed and cut": lambda data: json.dumps(json.loads(data), indent=2).encode()[:900],
}


@pytest.mark.parametrize("case", BYTES)
def test_damaged_bytes_are_recognised_as_a_saved_plan(
    case: str, sendroute: Program, saved: Path
) -> None:
    saved.write_bytes(BYTES[case](saved.read_bytes()))
    result = sendroute("apply", "change.plan")
    assert result.status == 1, result
    changed = case == "with a changed marker"  # it is well-formed
    reason = "was changed after it was saved" if changed else "is damaged"
    assert f"The saved plan change.plan cannot be used: it {reason}." in result.err
    assert "Save the plan again" in result.err
    assert "not-utf8" not in result.err
    assert "No domains" in sendroute("routes").out


NO_PLANS: dict[str, bytes] = {
    "JSON": b'{"apiVersion": "v1", "kind": "ConfigMap"}',
    "a lock file": b'{"format_version": "1.3", "lineage": "x", "revision": 1}',
    "a report": b'{"format_version": "1.0", "findings": []}',
    "the beginning of any object": b'{"f',
    "nothing": b"",
    "a manifest that mentions one": b"# a sendroute-saved-plan\nkind: ConfigMap\n",
}


@pytest.mark.parametrize("case", NO_PLANS)
def test_other_files_are_not_taken_for_saved_plans(case: str) -> None:
    assert not is_saved_plan(NO_PLANS[case])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"acme","acme"', '"sendroute-system","acme"'),
        ('"acme","acme"', '"../acme","acme"'),
        ('"domain":"shop.example.com"', r'"domain":"shop\n.example.com"'),
        ('"domain":"shop.example.com"', '"domain":"=cmd()"'),
    ],
)
def test_a_saved_plan_with_names_that_no_manifest_can_have_is_refused(
    before: str, after: str, sendroute: Program, saved: Path
) -> None:
    """The checksum is no signature: another program can write a correct one."""
    content = saved.read_text()
    assert before in content
    forged = msgspec.json.decode(content.replace(before, after), type=SavedPlan)
    saved.write_text(encode(forged))
    result = sendroute("apply", "change.plan")
    assert (result.status, "a name that no manifest can have" in result.err) == (1, True), result
    assert "No domains" in sendroute("routes").out


def test_a_saved_plan_with_a_value_that_no_platform_has_is_damaged(
    sendroute: Program, saved: Path
) -> None:
    plan = msgspec.json.decode(saved.read_bytes(), type=SavedPlan)
    assert plan.platform is not None
    [*others, last] = plan.platform.platform.plans
    forged = msgspec.structs.replace(last, name="na\x1b[31m")
    platform = msgspec.structs.replace(plan.platform.platform, plans=(*others, forged))
    desired = msgspec.structs.replace(plan.platform, platform=platform)
    saved.write_text(encode(msgspec.structs.replace(plan, platform=desired)))
    result = sendroute("apply", "change.plan")
    assert (result.status, "it is damaged" in result.err) == (1, True), result


@pytest.mark.parametrize("limit", [-1, 101, 1 << 70])
def test_a_saved_plan_with_a_limit_that_no_option_can_have_is_damaged(
    limit: int, sendroute: Program, saved: Path
) -> None:
    plan = msgspec.json.decode(saved.read_bytes(), type=SavedPlan)
    limits = msgspec.structs.replace(plan.limits, remove_percent=limit)
    saved.write_text(encode(msgspec.structs.replace(plan, limits=limits)))
    result = sendroute("apply", "change.plan")
    assert (result.status, "it is damaged" in result.err) == (1, True), result


def test_a_finding_about_no_domain_is_saved_as_by_earlier_versions() -> None:
    """So the checksum of their files is still right; and a domain is kept."""
    earlier = (
        b'{"code":"yaml-syntax","severity":"error","message":"m","hint":null,"position":null,'
        b'"namespace":"acme","account":"acme","file":"a.yaml","remedy":null}'
    )
    saved = msgspec.json.decode(earlier, type=SavedFinding)
    assert saved.as_finding().domain is None
    assert msgspec.json.encode(saved) == earlier
    about = msgspec.structs.replace(saved, domain="a.example")
    again = msgspec.json.decode(msgspec.json.encode(about), type=SavedFinding)
    assert again.as_finding().domain == "a.example"


def test_a_saved_plan_keeps_which_domain_an_error_is_about(
    sendroute: Program, manifests: Path
) -> None:
    misspelt = domain("bolt", "new.example", "{managed: {}}").replace("  route", "  rout")
    write(manifests / "bolt.yaml", account("bolt"), misspelt)
    sendroute("init")
    sendroute("plan", "manifests", "--out", "change.plan")
    sendroute("apply", "change.plan")
    assert "no field rout" in sendroute("explain", "new.example").out


def test_a_reformatted_saved_plan_is_refused_and_not_read_as_manifests(
    sendroute: Program, saved: Path
) -> None:
    saved.write_text(json.dumps(json.loads(saved.read_text()), indent=2))
    result = sendroute("apply", "change.plan")
    assert (result.status, "changed after it was saved" in result.err) == (1, True)


@pytest.mark.parametrize("more", [("manifests",), ("--only", "acme")], ids=["a path", "only"])
def test_a_saved_plan_cannot_be_combined_with_paths_or_only(
    sendroute: Program, saved: Path, more: tuple[str, ...]
) -> None:
    assert saved.is_file()
    assert sendroute("apply", "change.plan", *more).status == 64


def test_a_saved_plan_contains_both_sides_of_a_move(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), shop)
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "news.example.com"))
    sendroute("plan", "manifests", "--out", "change.plan")
    assert sendroute("apply", "change.plan").status == 0
    assert "bolt/bolt" in sendroute("routes", "news.example.com").out


@pytest.mark.parametrize("plan", ["plann: pro", "plan: pro"], ids=["in-error", "declared-twice"])
def test_a_saved_plan_contains_the_claims_of_stopped_accounts(
    sendroute: Program, store: Path, plan: str
) -> None:
    """The domain that both claim goes to neither, also when the saved plan is applied."""
    manifests = store.parent / "manifests"
    shop = domain("beta", "shop.example.com")
    twice = shop.replace("shop-example-com", "shop-too") if plan == "plan: pro" else ""
    beta = account("beta").replace("plan: pro", plan)
    write(manifests / "beta.yaml", beta, shop, *filter(None, [twice]))
    write(manifests / "gamma.yaml", account("gamma"), domain("gamma", "shop.example.com"))
    write(manifests / "acme.yaml", account("acme"), domain("acme", "other.example.com"))
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 1
    assert sendroute("apply", "change.plan").status == 1
    routes = sendroute("routes").out
    assert "other.example.com" in routes
    assert "shop.example.com" not in routes


def test_a_plan_of_one_account_excludes_changes_of_a_conflicting_account(
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


def test_a_plan_that_was_applied_in_part_says_so(
    sendroute: Program, manifests: Path, workdir: Path
) -> None:
    write(manifests / "new.yaml", account("zoo"), domain("zoo", "z.example", "{managed: {}}"))
    sendroute("init")
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    (workdir.parent / "secrets/acme/ses-smtp/password").unlink()
    assert sendroute("apply", "change.plan").status == 4, "the profile of acme is not saved"
    again = sendroute("apply", "change.plan")
    assert again.status == 3
    assert "applied already in part, at revisions 1 to 3" in again.err, again


def test_a_plan_that_was_completed_by_a_later_apply_names_exactly_its_revisions(
    sendroute: Program, manifests: Path, workdir: Path
) -> None:
    write(manifests / "new.yaml", account("zoo"), domain("zoo", "z.example", "{managed: {}}"))
    sendroute("init")
    assert sendroute("plan", "manifests", "--out", "change.plan").status == 0
    password = workdir.parent / "secrets/acme/ses-smtp/password"
    content = password.read_text()
    password.unlink()
    assert sendroute("apply", "change.plan").status == 4, "the profile of acme is not saved"
    write(manifests / "other.yaml", account("bolt"), domain("bolt", "b.example"))
    assert sendroute("apply", "manifests", "--only", "bolt", "--auto-approve").status == 0
    password.write_text(content)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    again = sendroute("apply", "change.plan")
    assert again.status == 3
    assert "was applied already, at revisions 1 to 3 and 5." in again.err, again


@pytest.mark.usefixtures("store")
def test_a_lock_file_that_this_apply_writes_is_not_called_stale(
    sendroute: Program, manifests: Path
) -> None:
    lock = "manifests/sendroute.lock"
    (manifests / "more.yaml").write_text(domain("acme", "one.example"))
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    (manifests / "more.yaml").write_text(
        "---\n".join(domain("acme", f"{name}.example") for name in ("one", "two"))
    )
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    with (manifests / "more.yaml").open("a") as stream:
        stream.write("---\n" + domain("acme", "three.example"))
    saved = sendroute("plan", "manifests", "--out", "change.plan")
    assert "stale-lock" in saved.out
    applied = sendroute("apply", "change.plan", "--write-lock", lock)
    assert (applied.status, "stale-lock" in applied.out) == (0, False), applied


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("fresh", [False, True], ids=["still stale", "written since"])
def test_a_saved_plan_compares_a_stale_lock_file_again(
    sendroute: Program, manifests: Path, fresh: bool
) -> None:
    lock = manifests / "sendroute.lock"
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", str(lock)).status == 0
    (manifests / "more.yaml").write_text(domain("acme", "one.example"))
    newer = ("--write-lock", "newer.lock")
    assert sendroute("apply", "manifests", "--auto-approve", *newer).status == 0
    with (manifests / "more.yaml").open("a") as stream:
        stream.write("---\n" + domain("acme", "two.example"))
    sendroute("plan", "manifests", "--out", "change.plan")
    if fresh:
        Path("newer.lock").replace(lock)
    applied = sendroute("apply", "change.plan")
    assert applied.status == 0, applied
    written = json.loads(lock.read_text())["revision"]
    now = json.loads(sendroute("history", "-o", "json").out)["changes"][0]["revision"]
    stated = f"written at revision {written}, and the store is at revision {now}:"
    assert stated in " ".join(applied.out.split()), applied


def test_a_plan_saved_under_the_lock_file_of_another_store_stays_refused(
    sendroute: Program, manifests: Path
) -> None:
    assert sendroute("--store", "sqlite:///first.db", "init").status == 0
    lock = str(manifests / "sendroute.lock")
    first = ("--store", "sqlite:///first.db", "apply", "manifests", "--auto-approve")
    assert sendroute(*first, "--write-lock", lock).status == 0
    assert sendroute("init", "--key-file", "sendroute.key").status == 0
    planned = sendroute("plan", "manifests", "--out", "change.plan")
    assert (planned.status, "store-empty" in planned.out) == (3, True)
    Path(lock).unlink()
    for _ in range(2):
        applied = sendroute("apply", "change.plan")
        assert (applied.status, "store-empty" in applied.out) == (3, True), applied
    assert "No domains" in sendroute("routes").out
    assert sendroute("apply", "manifests", "--auto-approve").status == 0


@pytest.mark.usefixtures("store")
def test_plan_of_a_saved_plan_says_how_to_apply_it(
    sendroute: Program,
) -> None:
    assert sendroute("plan", "manifests", "--out", "a b.plan").status == 0
    result = sendroute("plan", "a b.plan")
    assert result.status == 64
    assert "is a saved plan, not manifests. To apply it: sendroute apply 'a b.plan'" in result.err
