"""Long plans are shortened for people, and the counts stay complete. A pipe gets every change."""

import json
import re
import time

import pytest
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Action, DomainChange, Plan, Shadowed
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Severity, Where
from sendroute.model.route import MANAGED, Origin, via
from sendroute.model.waiting import Wait
from sendroute.reports import report as reports
from sendroute.reports.as_markdown import LIMIT
from sendroute.reports.as_text import findings_lines
from sendroute.reports.render import Format, render
from sendroute.reports.text import PLAIN, Console, width


def account(index, domains, to="ses"):
    key = AccountKey(f"n{index:06}", "main")
    after = DomainState(via(to), Origin.DECLARED, via(to))

    def change(number):
        name = f"d{number:06}.n{index}.example"
        message = f"The manifest of {name} declares profile {to}."
        before, where = DomainState(MANAGED, Origin.DEFAULT), Where("a.yaml", number)
        return DomainChange(key, name, Action.REROUTE, before, after, "declared", message, where)

    return AccountPlan(key, 1, tuple(map(change, range(domains))))


TERMINAL = Console(columns=100)


def shown(form, *accounts, console=TERMINAL):
    return "".join(render(reports.of_plan(Plan("l", 1, None, accounts)), form, console=console))


def test_a_pipe_gets_every_change_account_and_note_on_a_line():
    longest = f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example"
    notes = [
        finding("suspended", f"Domain n{number}.example is left as it is.") for number in range(50)
    ]
    first, *accounts = (account(index, 30) for index in range(1100))
    first = replace(
        first,
        changes=(*first.changes, replace(first.changes[0], name=longest)),
        findings=tuple(notes),
    )
    lines = shown(Format.TEXT, first, *accounts, console=PLAIN).splitlines()
    assert sum("managed → profile ses" in line for line in lines) == 33_001
    assert sum(longest in line for line in lines) == 1
    assert sum("is left as it is." in line for line in lines) == 50
    assert not any("…" in line or "more" in line for line in lines)


@pytest.mark.parametrize("columns", [10, 25, 39, 40, 60, 80, 100, 160])
def test_a_terminal_wraps_a_long_name_and_cuts_none(columns):
    name = f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example"
    plan = account(0, 3)
    plan = replace(plan, changes=(*plan.changes, replace(plan.changes[0], name=name)))
    lines = shown(Format.TEXT, plan, console=Console(columns=columns)).splitlines()
    assert all(width(line) <= columns for line in lines)
    assert name in "".join(line.strip() for line in lines)


def test_twenty_similar_changes_are_listed_and_the_others_are_counted():
    text = shown(Format.TEXT, account(0, 10_000))
    assert text.count(".n0.example  managed → profile ses") == 20
    assert "… and 9,980 more like this; the JSON report lists all" in text
    assert text.endswith("Plan: 10,000 to reroute.\n")


def skipped(index, domains):
    """An account whose domains all wait for one profile, as the planner reports it."""
    plan = account(index, domains)
    hint = "Fix the profile whose test failed."
    wait = Wait("profile bad, which was not saved", "still on managed")
    changes = [
        replace(
            change,
            action=Action.SKIP,
            after=change.before,
            reason="dependency-skipped",
            message=wait.of(change.name),
            wait=wait,
        )
        for change in plan.changes
    ]
    findings = [
        finding(
            "dependency-skipped",
            change.message,
            hint=hint,
            where=change.where,
            account=plan.key,
            domain=change.name,
            wait=wait,
        )
        for change in changes
    ]
    return AccountPlan(plan.key, 1, tuple(changes), findings=tuple(findings))


@pytest.mark.parametrize("form", [Format.TEXT, Format.MARKDOWN, Format.HTML])
def test_skipped_changes_are_grouped_and_their_reason_is_said_once(form):
    text = shown(form, skipped(0, 40))
    assert text.count("d000007.n0.example waits") <= 1
    assert text.count("Fix the profile whose test failed.") == 1
    assert "40 changes wait for something else; the reason is shown with them." in text
    assert (
        text.count("40 domains wait for profile bad, which was not saved: still on managed.") == 1
    )


def test_no_finding_counts_fewer_changes_as_skipped_than_the_plan():
    """A profile without its secret is skipped too; its reason has a finding of its own."""
    plan = skipped(0, 2)
    first = replace(plan.changes[0], reason="secret-missing", message="No secret.")
    text = shown(Format.TEXT, replace(plan, changes=(first, plan.changes[1])))
    assert re.findall(r"(\d+)(?: changes?)?(?: is| are)? skipped", text) == ["2", "2"]


def test_one_skipped_change_is_counted_in_the_singular():
    assert "1 change waits for something else; the reason is shown with it." in shown(
        Format.TEXT, skipped(0, 1)
    )


def test_domains_that_wait_together_share_one_sentence_and_are_all_named_in_a_pipe():
    waiting = skipped(0, 40)
    text = shown(Format.TEXT, waiting)
    assert text.count("which was not saved") == 1
    assert "… and 20 more like this; the JSON report lists all" in text
    assert "40 skipped; 1 warning." in text
    lines = shown(Format.TEXT, waiting, console=PLAIN).splitlines()
    names = ", ".join(change.name for change in waiting.changes)
    assert [line.strip() for line in lines if "d000007" in line] == [names]


def test_domains_that_wait_for_different_things_are_separate_groups():
    waiting = skipped(0, 6)
    changes = tuple(
        replace(
            change, wait=Wait(f"profile p{number % 2}, which was not saved", "still on managed")
        )
        for number, change in enumerate(waiting.changes)
    )
    text = shown(Format.TEXT, AccountPlan(waiting.key, 1, changes))
    assert "3 domains wait for profile p0" in text
    assert "3 domains wait for profile p1" in text


@pytest.mark.parametrize("form", [Format.TEXT, Format.MARKDOWN, Format.HTML])
def test_domains_wait_together_whatever_their_messages_say(form):
    waiting = skipped(0, 40)
    changes = tuple(
        replace(change, message=f"Reworded {number}.")
        for number, change in enumerate(waiting.changes)
    )
    text = shown(form, AccountPlan(waiting.key, 1, changes))
    assert text.count("40 domains wait for profile bad") == 1
    changes = tuple(replace(change, wait=None) for change in waiting.changes)
    assert "domains wait for" not in shown(form, AccountPlan(waiting.key, 1, changes))


def test_json_lists_every_skipped_change_and_its_finding():
    document = json.loads(shown(Format.JSON, skipped(0, 40)))
    assert len(document["changes"]) == len(document["findings"]) == 40


def test_exactly_twenty_changes_are_all_listed():
    assert "more like this" not in shown(Format.TEXT, account(0, 20))


def test_a_change_to_another_route_is_always_listed():
    first, second = account(0, 10_000), account(0, 10_001, to="mailgun")
    text = shown(Format.TEXT, AccountPlan(first.key, 1, (*first.changes, second.changes[-1])))
    assert "d010000.n0.example  managed → profile mailgun" in text


def test_a_heading_with_every_count_fits():
    domain = account(0, 1).changes[0]
    key = AccountKey("a" * 63, "b" * 63)
    changes = [
        replace(domain, name=f"{action}{number}.example", action=action)
        for action in Action
        for number in range(1000)
    ]
    text = shown(Format.TEXT, AccountPlan(key, 1, tuple(changes), stopped=True))
    assert all(width(line) <= 100 for line in text.split("\n"))
    assert "1,000 skipped; stopped, unchanged" in " ".join(text.split())


def test_a_thousand_accounts_are_listed_and_the_others_are_counted():
    text = shown(Format.TEXT, *(account(index, 2) for index in range(1500)))
    assert "… and 500 more accounts: 1,000 to reroute; the JSON report lists all" in text
    assert text.endswith("Plan: 3,000 to reroute.\n")


def test_a_comment_without_room_for_every_account_counts_what_it_leaves_out():
    text = shown(Format.MARKDOWN, *(account(index, 1000) for index in range(100)))
    assert len(text.encode()) <= LIMIT
    assert "the JSON report lists all" in text
    assert text.count("<details>") == text.count("</details>")
    assert "100,000 to reroute" in text


@pytest.mark.parametrize("form", [Format.MARKDOWN, Format.HTML])
@pytest.mark.parametrize("plan", [account(0, 1500), skipped(0, 1500)], ids=["rerouted", "skipped"])
def test_a_long_list_is_folded_and_complete(form, plan):
    text = shown(form, plan)
    assert all(text.count(change.name) >= 1 for change in plan.changes)
    assert "the JSON report" not in text
    assert 1 <= text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("form", [Format.MARKDOWN, Format.HTML])
def test_a_report_shortens_no_name_and_no_sentence(form):
    plan = account(0, 1)
    word = "x" * 3000
    change = replace(plan.changes[0], name=f"{word}.example", message=f"Because of {word}y.")
    text = shown(form, replace(plan, changes=(change,)))
    assert f"{word}.example" in text
    assert f"{word}y" in text


def test_json_lists_all_changes_sorted():
    document = json.loads(shown(Format.JSON, account(1, 300), account(0, 300)))
    names = [(change["namespace"], change["name"]) for change in document["changes"]]
    assert len(names) == 600
    assert names == sorted(names)


def test_no_format_depends_on_the_order_of_a_plan():
    first, second = account(0, 30), account(1, 30)
    reversed_order = AccountPlan(first.key, 1, first.changes[::-1])
    for form in Format:
        assert shown(form, first, second) == shown(form, second, reversed_order)


def test_text_of_many_changes_takes_less_time_than_json():
    """A ratio of two times: the shortened text must not take as long as the complete list."""
    report = reports.of_plan(Plan("l", 1, None, (account(0, 50_000),)))

    def cost(form):
        begun = time.process_time()
        for _ in render(report, form, console=TERMINAL):
            pass
        return time.process_time() - begun

    assert min(cost(Format.TEXT) for _ in range(3)) < cost(Format.JSON)


def test_shadowed_domains_that_say_the_same_are_shown_together():
    key = AccountKey("acme", "acme")

    def shadowed(count, apply_all, declared=MANAGED):
        names = (f"d{number:05}.{apply_all}.example" for number in range(count))
        return tuple(Shadowed(key, name, declared, via("ses"), apply_all) for name in names)

    single = Shadowed(key, "only.example", via("other"), via("ses"), "to-ses")
    plan = AccountPlan(
        key, 1, (), (), (*shadowed(10_000, "to-ses"), *shadowed(21, "later"), single)
    )
    text = shown(Format.TEXT, plan, console=PLAIN)
    assert text.count("shadowed by apply-all") == 3
    assert text.count("\n") < 12
    assert "10,000 domains declare managed, shadowed by apply-all to-ses: each stays" in text
    assert "only.example declares profile other, shadowed by apply-all to-ses: it stays" in text
    assert "d09999.to-ses.example" in text, "a pipe gets every name"
    text = shown(Format.TEXT, plan)
    assert "d00019.to-ses.example" in text
    assert "d00020.to-ses.example" not in text
    assert "… and 9,980 more like this; the JSON report lists all" in text
    assert max(map(width, text.splitlines())) <= 100


def test_a_terminal_gets_the_first_of_many_warnings_that_say_the_same():
    def warnings(count, profile):
        return [
            finding("profile-deleted", f"d{number}.example refers to profile {profile}, now gone.")
            for number in range(count)
        ]

    errors = [finding("unknown-profile", f"d{number}.example is wrong.") for number in range(30)]
    plan = AccountPlan(
        AccountKey("acme", "acme"), 1, (), (*warnings(25, "ses"), *warnings(2, "old"), *errors)
    )
    text = shown(Format.TEXT, plan)
    assert text.count("refers to profile ses") == 20
    assert text.count("refers to profile old") == 2, "another profile is another warning"
    assert text.count("is wrong") == 30, "every error is shown"
    assert "warning profile-deleted\n    … and 5 more warnings like this" in text
    assert text.rstrip().endswith("27 warnings."), "all are counted"
    assert shown(Format.TEXT, plan, console=PLAIN).count("refers to profile ses") == 25


def wins(number, severity=Severity.WARNING, account="acme"):
    """A warning as a large apply-all gives it for each domain."""
    name = f"e{number}.example.com"
    return finding(
        "apply-all-wins",
        f"The manifest of {name} declares unconfigured.",
        severity=severity,
        hint=f"Edit {name}.",
        where=Where("a.yaml", number),
        account=(account, account),
        domain=name,
    )


@pytest.mark.parametrize("console", [PLAIN, TERMINAL])
def test_what_is_said_of_many_domains_is_said_once_and_names_them(console):
    shown = "\n".join(findings_lines(map(wins, range(5)), console))
    assert shown.count("declares unconfigured") == shown.count("hint: ") == 1
    assert all(f"e{number}.example.com (a.yaml)" in shown for number in range(1, 5))


def test_a_terminal_counts_the_last_of_many_and_a_pipe_names_all():
    findings = [wins(number) for number in range(100)]
    assert "\n".join(findings_lines(findings, TERMINAL)).count(".example.com (") == 20
    assert "… and 79 more like this" in "\n".join(findings_lines(findings, TERMINAL))
    assert "\n".join(findings_lines(findings, PLAIN)).count(".example.com (") == 99


def missing_account(number, account="acme"):
    """An error as each document of an account without a MailAccount gets it."""
    return finding(
        "unknown-account",
        f"SendingDomain d{number} belongs to account {account}.",
        where=Where(f"d{number}.yaml", 0),
        account=("acme", account),
    )


def missing_profile(number):
    name = f"d{number}.example.com"
    message = f"{name} refers to profile ses."
    where = Where(f"d{number}.yaml", 0)
    return finding("unknown-profile", message, where=where, account=("acme", "acme"), domain=name)


def test_documents_that_refer_to_the_same_missing_object_are_one_block():
    findings = [missing_account(n) for n in range(3)] + [missing_account(3, "bolt")]
    findings += [missing_profile(n) for n in range(4, 7)]
    shown = "\n".join(findings_lines(findings, PLAIN))
    assert "the same at: d1.yaml, d2.yaml\n" in shown
    assert "the same for: d5.example.com (d5.yaml), d6.example.com (d6.yaml)" in shown
    assert shown.count("error unknown-") == 3


def test_other_errors_and_accounts_are_not_merged():
    errors = [wins(number, Severity.ERROR) for number in range(3)]
    accounts = [wins(1), wins(2, account="bolt")]
    for findings in (errors, accounts):
        shown = "\n".join(findings_lines(findings, PLAIN))
        assert shown.count("declares unconfigured") == len(findings)


def test_a_hint_is_not_repeated_for_the_next_finding_of_its_code() -> None:
    findings = [
        finding("out-of-sync", "The first.", hint="Rewrite it."),
        finding("out-of-sync", "The second.", hint="Rewrite it."),
        finding("out-of-sync", "The third.", hint="Another."),
        finding("unknown-profile", "The fourth.", hint="Another."),
    ]
    lines = [line.strip() for line in findings_lines(findings, PLAIN)]
    hints = [line for line in lines if line.startswith("hint: ")]
    assert hints == ["hint: Rewrite it.", "hint: Another.", "hint: Another."]
    assert lines.index("hint: Rewrite it.") < lines.index("The second.")
