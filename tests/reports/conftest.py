"""A sample plan with every kind of change, findings of every severity, and its result."""

from dataclasses import dataclass

import pytest

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    Plan,
    PlatformChange,
    ProfileChange,
    Shadowed,
    State,
)
from sendroute.model.codes import finding
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.platform import Managed, PlanLimits, Platform, PublicPort, Relay, ServicePlan
from sendroute.model.profile import ConnectionTest, Encryption, Profile, ProviderLimits
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, Route, via

ACME = AccountKey("acme", "acme")
BOLT = AccountKey("bolt", "main")
CRUX = AccountKey("crux", "main")

SES = Profile(
    "email-smtp.eu-west-1.amazonaws.com",
    587,
    Encryption.STARTTLS,
    display_name="Amazon SES, Ireland",
    provider="ses",
    secret="ses-smtp",
    limits=ProviderLimits(per_second=14, per_day=50_000),
    reassign_to=MANAGED,
)


def placed(where: Where) -> Position:
    """The position of a `Where`: a document has ten lines, and each step of a path is one line."""
    return Position(where.file, where.document * 10 + 1 + len(where.path), 3)


@pytest.fixture(scope="session")
def locate():
    return placed


def state(route: Route, origin: Origin, declared: Route | None = None) -> DomainState:
    return DomainState(route, origin, declared)


def change(
    account: AccountKey,
    of: type[ObjectChange],
    name: str,
    action: Action,
    before: State | None,
    after: State | None,
    reason: str,
    message: str,
) -> ObjectChange:
    where = Where(f"{account.namespace}.yaml", 2, ("spec",))
    return of(account, name, action, before, after, reason, message, where)


def platform_change() -> PlatformChange:
    relay = Relay("relay.internal.example", 587, Encryption.STARTTLS, secret="managed-relay")
    ports = (PublicPort(587, Encryption.STARTTLS), PublicPort(465, Encryption.TLS))
    managed = Managed("TrekMail SMTP", "smtp.trekmail.example", ports, relay, spf="include:spf")
    nano = ServicePlan("nano", managed=False)
    pro = ServicePlan("pro", managed=True, limits=PlanLimits(account_per_day=20_000))
    before = Platform(managed, (nano,), allow_networks=("10.0.0.0/8",))
    after = Platform(managed, (nano, pro), allow_networks=("10.0.0.0/8",))
    message = "The platform's plans change."
    where = Where("platform.yaml", 2, ("spec",))
    return PlatformChange(Action.UPDATE, before, after, "declared", message, where)


def acme_changes() -> list[ObjectChange]:
    def domain(name: str, *rest: object) -> ObjectChange:
        return change(ACME, DomainChange, name, *rest)  # type: ignore[arg-type]

    yes = Origin.DECLARED
    ran = change(
        ACME,
        AccountChange,
        "acme",
        Action.UPDATE,
        AccountState("nano"),
        AccountState("pro", via("ses")),
        "declared",
        "Account acme/acme changes: plan, default.",
    )
    return [
        AccountChange(**{f: getattr(ran, f) for f in ran.__struct_fields__[:-1]},
               completed=("2026-11-move-to-ses", RanApplyAll(via("ses"), 2))),
        change(ACME, ProfileChange, "ses", Action.CREATE, None, SES, "declared",
               "Profile ses is saved."),
        change(ACME, ProfileChange, "old", Action.DELETE,
               Profile("smtp.old.example", 465, Encryption.TLS), None, "removed",
               "Profile old is no longer in the manifests."),
        change(ACME, ProfileChange, "relay", Action.UPDATE,
               Profile("relay.example", 25, Encryption.NONE),
               Profile("relay.example", 2525, Encryption.STARTTLS,
                       connection_test=ConnectionTest.WARN),
               "declared", "Profile relay changes: port, encryption, connection test."),
        change(ACME, ProfileChange, "bad", Action.SKIP, None, None, "connection-test-failed",
               "Profile bad is not saved: its connection test failed; no previous version exists."),
        domain("new.example.com", Action.CREATE, None, state(via("ses"), Origin.DEFAULT),
               "default",
               "new.example.com is new and declares no route: it starts on the default,"
               " profile ses."),
        domain("shop.example.com", Action.REROUTE, state(MANAGED, Origin.DEFAULT),
               state(via("ses"), yes, via("ses")), "declared",
               "The manifest of shop.example.com declares profile ses."),
        domain("seen.example.com", Action.UPDATE, state(MANAGED, Origin.DEFAULT),
               state(MANAGED, yes, MANAGED), "declared",
               "seen.example.com stays on managed, which its manifest now declares."),
        domain("left.example.com", Action.REASSIGN, state(via("old"), yes, via("old")),
               state(MANAGED, Origin.REASSIGNED, via("old")), "reassigned",
               "left.example.com is reassigned to managed, because profile old is no longer"
               " satisfiable."),
        domain("gone.example.com", Action.DELETE, state(UNCONFIGURED, yes), None, "removed",
               "gone.example.com is no longer in the manifests and can no longer send."),
        domain("waits.example.com", Action.SKIP, state(MANAGED, yes), state(MANAGED, yes),
               "dependency-skipped",
               "waits.example.com waits for profile bad, which was not saved: still on managed."),
    ]  # fmt: skip


def bolt_changes() -> list[ObjectChange]:
    """An apply-all of more domains than a person reads; one has a very long name."""
    names = [f"d{index:04}.bolt.example" for index in range(1, 26)]
    names.append("a-very-long-name-" * 3 + "that-goes-on.and-on.bolt.example")
    after = DomainState(via("mailgun"), Origin.APPLY_ALL, None, "2026-11")
    before = state(MANAGED, Origin.DEFAULT)
    return [
        change(
            BOLT,
            DomainChange,
            name,
            Action.REROUTE,
            before,
            after,
            "apply-all",
            f"The apply-all 2026-11 switches {name} to profile mailgun.",
        )
        for name in names
    ]


def findings() -> tuple[Finding, ...]:
    return (
        finding(
            "unknown-profile",
            "Account bolt/main has no profile mailgum.",
            hint="Did you mean mailgun? Declare the profile, or name another.",
            where=Where("bolt.yaml", 1, ("spec", "route", "profile")),
            account=BOLT,
        ),
        finding(
            "duplicate-profile",
            "Profile ses has two definitions.",
            hint="Keep one of them.",
            where=Where("acme.yaml", 3),
            related=(Where("acme.yaml", 5, ("metadata", "name")),),
            account=ACME,
        ),
        finding("unusual-port", "Port 2526 is not one that SMTP providers use.",
                where=Where("acme.yaml", 4, ("spec", "port")), account=ACME),
        finding("suspended", "Domain kept.example.com is left as it is.",
                where=Where("acme.yaml", 6), account=ACME),
        finding("yaml-syntax", "The file is not well-formed: expected ',' or ']', found ':'.",
                where=Where("deep/" * 25 + "broken.yaml", 0)),
    )  # fmt: skip


@dataclass(frozen=True)
class Sample:
    plan: Plan
    result: Result
    findings: tuple[Finding, ...]


@pytest.fixture(scope="session")
def sample() -> Sample:
    shadowed = Shadowed(ACME, "kept.example.com", MANAGED, via("ses"), "2026-11-move-to-ses")
    awaits = finding(
        "awaiting-confirmation",
        "The apply-all 2026-12-all would switch 1042 domains of account bolt/main to profile ses;"
        " the apply-all is not confirmed.",
        hint="To run it, add to spec.applyToAll: confirm: {domains: 1042}",
        where=Where("crux.yaml", 0, ("spec", "applyToAll")),
        account=CRUX,
    )
    guard = finding("too-many-changes", "26 of 26 domains would be rerouted.", account=BOLT)
    sample_findings = findings()
    plan = Plan(
        lineage="0193a5c4-7d1e-7000-8000-2f6f0b1c9d3e",
        revision=7,
        platform=platform_change(),
        accounts=(
            AccountPlan(CRUX, 2, (), (awaits,)),
            AccountPlan(BOLT, 4, tuple(bolt_changes()), (guard, sample_findings[0]), stopped=True),
            AccountPlan(ACME, 3, tuple(acme_changes()), sample_findings[1:4], (shadowed,)),
        ),
        findings=sample_findings[4:],
    )
    late = finding("connection-test-failed", "Profile relay: the server's certificate expired.",
                   hint="Renew it.", account=ACME, severity=Severity.WARNING)  # fmt: skip
    result = Result(
        plan,
        Outcome.COMMITTED,
        (
            AccountOutcome(ACME, Outcome.COMMITTED, 4, (late,)),
            AccountOutcome(BOLT, Outcome.REFUSED, 4),
            AccountOutcome(CRUX, Outcome.UNCHANGED, 2),
        ),
        revision=8,
        relays_behind=("mx2.example", "mx1.example"),
    )
    return Sample(plan, result, sample_findings)
