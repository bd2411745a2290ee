"""The limits of a whole change, over all accounts, and the removal of an account."""

import json
from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, account, domain, profile, write

SMALL = [f"t{number}" for number in range(6)]


class Tenants:
    """A directory of manifests with a file for each account, and its store."""

    def __init__(self, workdir: Path, sendroute: Program) -> None:
        self._manifests, self._run = workdir / "manifests", sendroute
        write(self._manifests / "platform.yaml", PLATFORM)
        assert sendroute("init").status == 0

    def declare(self, name: str, *domains: str, more: str = "") -> None:
        documents = (domain(name, each_name) for each_name in domains)
        write(self._manifests / f"{name}.yaml", account(name, more=more), *documents)

    def delete(self, name: str) -> None:
        (self._manifests / f"{name}.yaml").unlink()

    def plan(self, *options: str) -> tuple[int, str]:
        return self._result("plan", "manifests", *options)

    def apply(self, *options: str) -> tuple[int, str]:
        return self._result("apply", "manifests", "--auto-approve", *options)

    def _result(self, *arguments: str) -> tuple[int, str]:
        result = self._run(*arguments)
        return result.status, result.out + result.err

    def run(self, *arguments: str) -> str:
        return self._run(*arguments).out

    def holders(self, name: str) -> set[str]:
        """The account that has this domain in the store."""
        rows = json.loads(self._run("routes", "-o", "json").out)["domains"]
        return {row["account"] for row in rows if row["domain"] == name}

    def holding(self, *names: str) -> set[str]:
        """Those of the accounts that have domains in the store."""
        rows = json.loads(self._run("routes", "-o", "json").out)["domains"]
        return {row["account"] for row in rows} & set(names)


@pytest.fixture
def tenants(workdir: Path, sendroute: Program) -> Tenants:
    """Six accounts of two domains each."""
    tenants = Tenants(workdir, sendroute)
    for name in SMALL:
        tenants.declare(name, f"a.{name}.example", f"b.{name}.example")
    assert tenants.apply()[0] == 0
    return tenants


def lose_one_domain_each(tenants: Tenants, *names: str) -> None:
    for name in names:
        tenants.declare(name, f"a.{name}.example")


def test_new_domains_do_not_let_a_refused_change_through_the_next_time(tenants: Tenants) -> None:
    lose_one_domain_each(tenants, *SMALL)
    tenants.declare("new", *(f"n{number}.example" for number in range(40)))
    for _ in range(3):
        status, text = tenants.apply()
        assert (status, "too-many-removals" in text) == (3, True), text
        assert "6 of the 12 domains" in text
        status, text = tenants.plan()
        assert (status, "too-many-removals" in text) == (3, True), text
    assert len(tenants.holding("new")) == 1, "what loses nothing is applied"
    assert tenants.apply("--max-remove-percent", "49")[0] == 3
    assert tenants.apply("--max-remove-percent", "50")[0] == 0
    assert tenants.plan() == tenants.plan("--max-remove-percent", "100")


def test_confirmed_removals_do_not_let_a_refused_change_through_the_next_time(
    tenants: Tenants,
) -> None:
    lose_one_domain_each(tenants, *SMALL[:4])
    for name in SMALL[4:]:
        tenants.declare(name, more=", remove: {confirm: {domains: 2}}")
    for _ in range(3):
        status, text = tenants.apply()
        assert (status, "too-many-removals" in text) == (3, True), text
        assert "4 of the 12 domains" in text
    assert not tenants.holding(*SMALL[4:])
    assert tenants.apply("--max-remove-percent", "33")[0] == 3
    assert tenants.apply("--max-remove-percent", "34")[0] == 0


def test_what_was_let_through_still_counts_for_the_rest(tenants: Tenants) -> None:
    lose_one_domain_each(tenants, *SMALL[:4])
    assert tenants.apply()[0] == 3
    for name in SMALL[:2]:
        named = ("--only", f"{name}/{name}")
        assert tenants.apply(*named, "--max-remove-percent", "100")[0] == 0
    for _ in range(2):
        status, text = tenants.apply()
        assert (status, "4 of the 12 domains" in text) == (3, True), text


def test_a_change_that_was_taken_back_no_longer_counts(tenants: Tenants) -> None:
    lose_one_domain_each(tenants, *SMALL)
    assert tenants.apply()[0] == 3
    for name in SMALL[1:]:
        tenants.declare(name, f"a.{name}.example", f"b.{name}.example")
    assert tenants.apply()[0] == 0
    lose_one_domain_each(tenants, SMALL[1])
    assert tenants.apply()[0] == 0, "several changes are not added up"


def test_an_unreadable_tree_in_between_changes_nothing(tenants: Tenants, workdir: Path) -> None:
    lose_one_domain_each(tenants, *SMALL)
    tenants.declare("new", *(f"n{number}.example" for number in range(40)))
    assert tenants.apply()[0] == 3
    write(workdir / "manifests/broken.yaml", "a: [")
    assert tenants.apply()[0] == 1
    (workdir / "manifests/broken.yaml").unlink()
    status, text = tenants.apply()
    assert (status, "6 of the 12 domains" in text) == (3, True), text


def test_reroutes_of_a_refused_change_are_refused_again(tenants: Tenants) -> None:
    for name in SMALL:
        first, second = f"a.{name}.example", f"b.{name}.example"
        tenants.declare(name, first, second)
        path = Path("manifests") / f"{name}.yaml"
        write(path, account(name), domain(name, first, "{unconfigured: {}}"), domain(name, second))
    tenants.declare("new", *(f"n{number}.example" for number in range(40)))
    for _ in range(2):
        status, text = tenants.apply()
        assert (status, "too-many-changes" in text) == (3, True), text
    assert tenants.apply("--max-change-percent", "50")[0] == 0


def test_an_account_is_removed_only_if_it_is_named(tenants: Tenants) -> None:
    for name in SMALL[:2]:
        tenants.delete(name)
    for run in (tenants.plan, tenants.apply):
        status, text = run()
        assert (status, "account-removal" in text) == (3, True), text
        assert "--remove-account t0/t0" in text
    status, text = tenants.apply("--remove-account", "t0/t0")
    assert (status, "account t1/t1 is no longer" in text.lower()) == (3, True), text
    assert tenants.holding("t0", "t1") == {"t1"}


def test_an_account_that_is_declared_cannot_be_named(tenants: Tenants) -> None:
    """The path is wrong, or the option was left in a script."""
    tenants.delete("t0")
    named = ("--remove-account", "t0/t0", "--remove-account", "t1/t1")
    for run in (tenants.plan, tenants.apply):
        status, text = run(*named)
        assert (status, "t1.yaml declares this account" in text) == (64, True), text
    assert tenants.holding("t0", "t1") == {"t0", "t1"}
    tenants.declare("t1", "a.t1.example", more=", remove: {confirm: {domains: 2}}")
    assert tenants.apply(*named)[0] == 0, "its manifest says the same"
    assert not tenants.holding("t0", "t1")


def test_a_removal_is_not_offered_while_the_domains_could_move(
    tenants: Tenants, workdir: Path
) -> None:
    """An account is renamed across namespaces, and the new one cannot take its domains yet."""
    count = 12  # so that a limit refuses it too
    domains = [f"d{number}.example" for number in range(count)]
    tenants.declare("old", *domains)
    assert tenants.apply()[0] == 0
    tenants.delete("old")
    moved = [domain("new", name, "{profile: ses}") for name in domains]
    missing = profile("new", "ses").replace("ses-smtp", "absent")
    write(workdir / "manifests/new.yaml", account("new"), missing, *moved)
    for run in (tenants.plan, tenants.apply):
        status, text = run()
        assert (status, "account-removal" in text, "too-many-removals" in text) == (3, True, True)
        assert "--remove-account" not in text
        assert "--max-remove-percent" not in text
        assert "Fix that account first" in text
    declare = f"spec.remove: {{confirm: {{domains: {count}}}}}"
    assert declare in text, "there is a way out"
    assert tenants.holding("old")


def test_several_accounts_can_be_named(tenants: Tenants) -> None:
    for name in SMALL[:2]:
        tenants.delete(name)
    named = ("--remove-account", "t0/t0", "--remove-account", "t1/t1")
    assert tenants.plan(*named)[0] == 0
    assert tenants.plan("--detailed-exitcode", *named)[0] == 2
    assert tenants.apply(*named)[0] == 0
    assert not tenants.holding("t0", "t1")


def test_a_saved_plan_keeps_the_accounts_that_it_may_remove(
    tenants: Tenants, sendroute: Program
) -> None:
    tenants.delete("t0")
    assert tenants.plan("--out", "refused.plan")[0] == 3
    assert tenants.plan("--remove-account", "t0/t0", "--out", "named.plan")[0] == 0
    assert sendroute("apply", "refused.plan", "--auto-approve").status == 3
    assert tenants.holding("t0")
    assert sendroute("apply", "named.plan", "--auto-approve").status == 0
    assert not tenants.holding("t0")


def test_a_confirmed_removal_can_be_repeated(tenants: Tenants, sendroute: Program) -> None:
    tenants.delete("t0")
    named = ("--remove-account", "t0/t0")
    assert tenants.apply(*named)[0] == 0
    history = sendroute("history", "-o", "json").out
    for more in ((), ("--only", "t0/t0"), ("--only", "t1/t1")):
        for run in (tenants.plan, tenants.apply):
            status, text = run(*named, *more)
            assert (status, "unknown-account" in text) == (0, False), text
    assert sendroute("history", "-o", "json").out == history
    assert tenants.apply("--only", "t0/t0")[0] == 1, "only a removal is repeated"


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("t0/t9", 1, "There is no account `t0/t9`, neither in the manifests nor in the store."),
        ("t0", 64, "NAMESPACE/NAME"),
    ],
)
def test_an_unknown_account_cannot_be_named(
    tenants: Tenants, name: str, status: int, words: str
) -> None:
    tenants.delete("t0")
    for run in (tenants.plan, tenants.apply):
        result = run("--remove-account", name)
        assert (result[0], words in result[1]) == (status, True), result[1]
    assert tenants.holding("t0")


def test_a_domain_that_another_tenant_claims_is_removed_when_only_its_owner_is_applied(
    tenants: Tenants,
) -> None:
    tenants.declare("t0", "a.t0.example")
    tenants.declare("t1", "a.t1.example", "b.t1.example", "b.t0.example")
    status, text = tenants.plan("--only", "t0/t0")
    reason = "account t1/t1 declares it, but is not planned."
    gone = "b.t0.example is no longer declared by account t0/t0 and can no longer send"
    assert (status, f"{gone}: {reason}" in text) == (0, True), text
    assert text.count("warning removed-before-move  manifests/t0.yaml:") == 1
    status, text = tenants.apply("--only", "t0/t0")
    assert status == 0, text
    assert "dependency-skipped" not in text
    assert "in the manifests" not in text
    assert tenants.holders("b.t0.example") == set()
    assert tenants.apply("--only", "t1/t1")[0] == 0
    assert tenants.holders("b.t0.example") == {"t1"}


def test_a_claim_waits_while_only_the_other_tenant_is_applied(tenants: Tenants) -> None:
    tenants.declare("t0", "a.t0.example")
    tenants.declare("t1", "a.t1.example", "b.t1.example", "b.t0.example")
    status, text = tenants.apply("--only", "t1/t1")
    assert (status, "dependency-skipped" in text) == (4, True), text
    assert "waits for account t0/t0, the present holder, which is not planned" in text
    assert tenants.holders("b.t0.example") == {"t0"}


def test_a_domain_that_leaves_before_its_claimant_can_take_it_is_a_warning(
    tenants: Tenants,
) -> None:
    """The claimant is planned, and cannot change; or two tenants declare the domain."""
    tenants.declare("t0", "a.t0.example")
    domains = "a.t1.example", "b.t1.example", "b.t0.example"
    tenants.declare("t1", *domains, more=", defaultRoute: {profile: gone}")
    status, text = tenants.plan()
    assert (status, "removed-before-move" in text) == (1, True), text
    assert "account t1/t1 declares it, but cannot take it now." in text
    tenants.declare("t1", *domains)
    assert "removed-before-move" not in tenants.plan()[1]
    tenants.declare("t2", "a.t2.example", "b.t2.example", "b.t0.example")
    status, text = tenants.plan()
    assert (status, "removed-before-move" in text) == (1, True), text
    assert "accounts t1/t1, t2/t2 declare it, so none gets it." in text


def test_an_account_is_removed_alone_whatever_other_tenants_claim(tenants: Tenants) -> None:
    tenants.declare("t0", more=", remove: {confirm: {domains: 2}}")
    tenants.declare("t1", "a.t1.example", "b.t1.example", "b.t0.example")
    status, text = tenants.apply("--only", "t0/t0")
    assert (status, "removed-before-move" in text) == (0, True), text
    assert not tenants.holding("t0")


def test_a_move_within_a_namespace_waits_until_both_accounts_are_applied(
    tenants: Tenants,
) -> None:
    tenants.declare("t0", "a.t0.example")
    other = account("other").replace("namespace: other", "namespace: t0")
    claim = domain("other", "b.t0.example").replace("namespace: other", "namespace: t0")
    write(Path("manifests/other.yaml"), other, claim)
    for name in ("t0/t0", "t0/other"):
        status, text = tenants.apply("--only", name)
        assert (status, "dependency-skipped" in text) == (4, True), text
    assert tenants.holders("b.t0.example") == {"t0"}
    assert tenants.apply()[0] == 0
    assert tenants.holders("b.t0.example") == {"other"}


def test_accounts_named_one_by_one_are_measured_by_the_change_of_the_whole_tree(
    tenants: Tenants, sendroute: Program
) -> None:
    for name in SMALL:
        tenants.declare(name, f"new.{name}.example")
    for name in SMALL:
        named = ("--only", f"{name}/{name}")
        for run in (tenants.plan, tenants.apply):
            status, text = run(*named)
            assert (status, "too-many-removals" in text) == (3, True), text
            assert "remove 12 of the 12 domains in the store, 2 of them" in text
        assert tenants.plan(*named, "--out", "named.plan")[0] == 3
        result = sendroute("apply", "named.plan", "--auto-approve")
        assert (result.status, "12 of the 12 domains" in result.out) == (3, True), result.out
        assert tenants.holders(f"a.{name}.example") == {name}
    assert tenants.apply("--only", "t0/t0", "--max-remove-percent", "100")[0] == 0
    status, text = tenants.apply("--only", "t1/t1")
    assert (status, "12 of the 12 domains" in text) == (3, True), text


def test_named_accounts_are_applied_while_the_whole_change_is_within_the_limits(
    tenants: Tenants,
) -> None:
    lose_one_domain_each(tenants, *SMALL[:3])
    for name in SMALL[:3]:
        assert tenants.apply("--only", f"{name}/{name}")[0] == 0
    lose_one_domain_each(tenants, SMALL[3])
    tenants.delete(SMALL[4])
    tenants.delete(SMALL[5])
    status, text = tenants.plan("--only", "t3/t3")
    assert (status, "5 of the 9 domains" in text) == (0, False), "below ten domains"


def test_reroutes_of_accounts_that_are_not_named_count(tenants: Tenants) -> None:
    for name in SMALL:
        documents = (
            domain(name, f"{label}.{name}.example", "{unconfigured: {}}") for label in "ab"
        )
        write(Path(f"manifests/{name}.yaml"), account(name), *documents)
    status, text = tenants.apply("--only", "t0/t0")
    assert (status, "too-many-changes" in text) == (3, True), text
    assert "reroute 12 of the 12 domains in the store, 2 of them of account t0/t0" in text


def test_a_named_account_that_loses_nothing_is_applied_whatever_the_others_lose(
    tenants: Tenants,
) -> None:
    lose_one_domain_each(tenants, *SMALL)
    tenants.declare("t0", "a.t0.example", "b.t0.example", "new.t0.example")
    assert tenants.apply("--only", "t0/t0")[0] == 0
    assert tenants.holders("new.t0.example") == {"t0"}


def test_confirmed_removals_and_moves_of_accounts_that_are_not_named_do_not_count(
    tenants: Tenants,
) -> None:
    lose_one_domain_each(tenants, "t0")
    tenants.declare("t1", more=", remove: {confirm: {domains: 2}}")
    tenants.delete("t2")
    tenants.declare("t3", "a.t3.example")
    tenants.declare("t4", "a.t4.example", "b.t4.example", "b.t3.example")
    removed = ("--remove-account", "t2/t2")
    status, text = tenants.apply("--only", "t0/t0", *removed)
    assert status == 0, text
    lose_one_domain_each(tenants, "t5")
    assert tenants.plan("--only", "t5/t5", *removed)[0] == 0
    status, text = tenants.plan("--only", "t5/t5", "--max-remove-percent", "20")
    assert (status, "3 of the 11 domains in the store, 1 of them" in text) == (3, True), text


def test_what_is_said_of_the_domains_of_a_removed_account_is_so(tenants: Tenants) -> None:
    more = ", remove: {confirm: {domains: 2}}"
    tenants.declare("t0", "a.t0.example", more=more)
    status, text = tenants.plan("-o", "json")
    messages = [change["message"] for change in json.loads(text)["changes"]]
    assert status == 0
    assert "a.t0.example is removed with its account, t0/t0, and can no longer send." in messages
    assert "no longer in the manifests" not in text


def test_a_suspended_domain_that_is_reassigned_is_not_called_unchanged(tenants: Tenants) -> None:
    first = domain("t0", "a.t0.example").replace("spec:\n", "spec:\n  suspend: true\n")
    write(Path("manifests/t0.yaml"), account("t0"), first, domain("t0", "b.t0.example"))
    assert "a.t0.example is suspended, so it is not created or changed" in tenants.plan()[1]
    platform = Path("manifests/platform.yaml")
    platform.write_text(PLATFORM.replace("{name: pro, managed: true", "{name: pro, managed: false"))
    text = tenants.plan("--max-change-percent", "100")[1]
    assert "a.t0.example is suspended, but gets unconfigured" in text, text
    assert "not created or changed" not in text
