"""A store for each test, and short functions for the changes that fill it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    PlatformChange,
    ProfileChange,
    State,
)
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.profile import Encryption, Profile
from sendroute.model.provenance import Provenance
from sendroute.model.route import MANAGED, Origin, Route, via
from sendroute.store.create import init_store
from sendroute.store.record import Store

SES = Profile(host="smtp.ses.example", port=587, encryption=Encryption.STARTTLS, secret="ses")


class Say:
    """Builds changes of one account with few arguments."""

    provenance = Provenance(
        at=datetime(2026, 11, 3, 10, 30, tzinfo=UTC), actor="ada", source_commit="c0ffee"
    )
    ses = SES
    platform = Platform(managed=None, plans=(ServicePlan("nano", managed=False),))

    def __init__(self, name: str = "acme", namespace: str = "acme") -> None:
        self.key = AccountKey(namespace, name)

    def platform_change(self, before: Platform | None, after: Platform) -> PlatformChange:
        return PlatformChange(_action(before, after), before, after, "declared", "Said so.")

    def skip(self, domain: str) -> DomainChange:
        """A new domain that is skipped."""
        return DomainChange(self.key, domain, Action.SKIP, None, None, "declared", "Said so.")

    def account(
        self,
        before: AccountState | None = None,
        after: AccountState | None = AccountState("nano"),  # noqa: B008 - a frozen value
        ran: tuple[str, RanApplyAll] | None = None,
    ) -> AccountChange:
        action = _action(before, after)
        return AccountChange(
            self.key, self.key.name, action, before, after, "declared", "Said so.", completed=ran
        )

    def profile(
        self,
        name: str,
        before: Profile | None = None,
        after: Profile | None = SES,
    ) -> ProfileChange:
        action = _action(before, after)
        return ProfileChange(self.key, name, action, before, after, "declared", "Said so.")

    def domain(
        self,
        name: str,
        before: DomainState | None = None,
        after: DomainState | None = None,
        message: str = "Said so.",
    ) -> DomainChange:
        action = _action(before, after)
        if before is not None and after is not None and before.route != after.route:
            action = Action.REROUTE
        return DomainChange(self.key, name, action, before, after, "declared", message)

    def plan(self, revision: int, *changes: ObjectChange, stopped: bool = False) -> AccountPlan:
        return AccountPlan(self.key, revision, changes, stopped=stopped)

    def start(self, *domains: str, route: Route = MANAGED) -> AccountPlan:
        """Create the account with a profile `ses` and these domains."""
        created = [self.domain(name, None, DomainState(route, Origin.DEFAULT)) for name in domains]
        return self.plan(0, self.account(), self.profile("ses"), *created)

    @staticmethod
    def through(profile: str) -> DomainState:
        return DomainState(via(profile), Origin.DECLARED, via(profile))


def _action(before: State | None, after: State | None) -> Action:
    if before is None:
        return Action.CREATE
    return Action.DELETE if after is None else Action.UPDATE


@pytest.fixture
def say() -> Say:
    return Say()


@pytest.fixture
def other() -> Say:
    return Say("umbrella", "umbrella")


@pytest.fixture
def store(store_url: str, say: Say) -> Iterator[Store]:
    with init_store(store_url, say.provenance, busy_timeout=5) as store:
        yield store


class Child:
    """A forked process that runs ``work`` and sends values through a pipe.

    It is forked because the start of a new Python takes longer than the test itself.
    """

    def __init__(self, work: Callable[[Connection], None]) -> None:
        context = get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=work, args=(sender,))
        self.process.start()
        sender.close()

    def receive(self) -> Any:
        """The next value. Raises EOFError when the child has ended."""
        return self._receiver.recv()

    def receive_all(self) -> list[Any]:
        """All values that the child sends until it ends."""
        values = []
        try:
            while True:
                values.append(self.receive())
        except EOFError:
            self.process.join(30)
            return values


@pytest.fixture
def child() -> Iterator[Callable[[Callable[[Connection], None]], Child]]:
    children: list[Child] = []

    def start(work: Callable[[Connection], None]) -> Child:
        children.append(Child(work))
        return children[-1]

    yield start
    for started in children:
        started.process.kill()
        started.process.join()
        started._receiver.close()
