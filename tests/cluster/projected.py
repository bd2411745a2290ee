"""Accounts that were reconciled in memory, for tests of what is projected from them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml
from tests.planner.committed import committed

from sendroute.cluster.conditions import project
from sendroute.cluster.objects import (
    ClusterObject,
    ObjectKey,
    Reconciled,
    decode_item,
    object_of,
    packed,
)
from sendroute.manifests.compile import Compilation
from sendroute.manifests.headers import LeftOut
from sendroute.manifests.statuses import encode_status
from sendroute.model.change import Action, Plan
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, no_positions
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.owner import PLATFORM as PLATFORM_KEY
from sendroute.model.owner import Owner
from sendroute.model.secret import Resave
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.assessment import assess
from sendroute.reconcile.commit import left_alone

NOW = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)
EMPTY = Current(lineage="7c1e", revision=0, platform=None, accounts={})

PLATFORM = """
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    host: smtp.trekmail.example
    ports: [{port: 587, encryption: starttls}]
    relay: {host: relay.trekmail.example, port: 587, encryption: starttls}
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true}
"""
ACCOUNT = """
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec: {plan: pro}
"""
PROFILE = """
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: ses, namespace: acme}
spec: {account: acme, host: smtp.ses.example, port: 587, encryption: starttls}
"""
DOMAIN = """
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop, namespace: acme}
spec: {account: acme, domain: shop.example.com}
"""


def with_spec(document: str, name: str | None = None, **spec: Any) -> str:
    """A document with other fields in its spec, or another name; None removes a field."""
    value = yaml.safe_load(document)
    value["spec"] = {k: v for k, v in {**value["spec"], **spec}.items() if v is not None}
    if name is not None:
        value["metadata"]["name"] = name
    return yaml.safe_dump(value)


def documents(*texts: str) -> str:
    """Several documents as one text."""
    return "\n---\n".join(texts)


def objects_in(text: str, before: Iterable[ClusterObject] = ()) -> list[ClusterObject]:
    """The documents of a text as objects of the API. An object whose document differs from that of
    ``before`` has the next generation, and keeps its status."""
    earlier = {seen.key: seen for seen in before}
    objects = []
    for value in yaml.safe_load_all(text):
        if value is None:
            continue
        metadata = {"namespace": "default", "generation": 1, "uid": "0"} | value["metadata"]
        if value["kind"] == "MailPlatform":
            metadata["namespace"] = ""
        item = {**value, "metadata": metadata}
        seen = object_of(value["kind"], decode_item(msgspec.json.encode(item)))
        old = earlier.get(seen.key)
        if old is not None:
            generation = old.generation + (old.document != seen.document)
            seen = msgspec.structs.replace(seen, generation=generation, held_status=old.held_status)
        objects.append(seen)
    return objects


def desired_of(objects: Iterable[ClusterObject]) -> Desired:
    """What objects declare."""
    compilation = Compilation()
    findings: list[Finding] = []
    stopped: dict[AccountKey, frozenset[str | None]] = {}
    unread: list[Finding] = []
    for seen in objects:
        findings += seen.findings
        if seen.document is not None:
            compilation.add(seen.document, seen.where)
        elif seen.account is not None:
            stopped[seen.account] = stopped.get(seen.account, frozenset()) | seen.profiles
            compilation.leave_out(LeftOut(seen.account, seen.key.kind, seen.domain, seen.where))
        else:
            unread += seen.findings
    return compilation.finish(findings=findings, stopped=stopped, unread=unread)


class Cluster:
    """Objects, and a store that has what was applied of them."""

    def __init__(self) -> None:
        self.objects: list[ClusterObject] = []
        self.current = EMPTY
        self.now = NOW
        self.reconciled: dict[AccountKey, Reconciled] = {}
        self.written: dict[ObjectKey, dict[str, Any]] = {}

    def apply(
        self,
        text: str,
        *,
        failing: Mapping[Owner, Mapping[str, str]] | None = None,
        rotated: Mapping[Owner, Mapping[str, Resave]] | None = None,
        findings: Iterable[Finding] = (),
        fields: Mapping[str, Any] | None = None,
        guards: Guards | None = None,
    ) -> dict[ObjectKey, dict[str, Any]]:
        """Make these the objects, reconcile all accounts, and write the statuses.

        Args:
            text: the documents.
            failing: the profiles that may not be saved, with the code that says why.
            rotated: the profiles whose secret has another content.
            findings: findings about the outcome.
            fields: fields of :class:`Reconciled` that differ.
            guards: the guards.

        Returns:
            The status of each object.
        """
        self.objects = objects_in(text, self.objects)
        desired = desired_of(self.objects)
        failed = failing or {}
        guards = guards or Guards(approved={})
        plan = plan_tree(desired, self.current, failed=failed, rotated=rotated or {}, guards=guards)
        result = self._result(plan)
        self.current = committed(self.current, plan)
        tests = [item for key in failed for item in _failures(key, failed[key], desired)]
        general = [item for item in (*desired.findings, *plan.findings) if item.account is None]
        statuses = assess(result, {}, None, self.now, None, no_positions).statuses
        written: dict[ObjectKey, dict[str, Any]] = {}
        self.reconciled = {}
        for key in sorted({seen.account for seen in self.objects if seen.account is not None}):
            outcome = next((item for item in result.accounts if item.key == key), None)
            planned = next((item for item in plan.accounts if item.key == key), None)
            about = [*desired.findings, *plan.findings, *tests, *findings]
            reconciled = Reconciled(
                key,
                tuple(seen for seen in self.objects if seen.account == key),
                desired.accounts.get(key),
                (
                    *general,
                    *(item for item in about if (item.namespace, item.account) == key),
                    *(planned.findings if planned is not None else ()),
                ),
                outcome,
                statuses.get(key),
                self.current.account(key),
                self.current.platform,
                dict.fromkeys(self.current.account(key).domains, NOW),
                self.current.lineage,
            )
            reconciled = msgspec.structs.replace(reconciled, **(fields or {}))
            self.reconciled[key] = reconciled
            for name, status in project(reconciled, self.now).items():
                written[name] = encode_status(status)
        self.objects = [
            msgspec.structs.replace(
                seen, held_status=packed(msgspec.json.encode(written[seen.key]))
            )
            if seen.key in written
            else seen
            for seen in self.objects
        ]
        self.written = written
        return written

    def generation(self, key: ObjectKey) -> int:
        return next(seen.generation for seen in self.objects if seen.key == key)

    def _result(self, plan: Plan) -> Result:
        outcomes = []
        stopped = {item.key for item in plan.accounts if item.stopped}
        waiting = {key for group in plan.groups if stopped & set(group) for key in group}
        for account in plan.accounts:
            works = any(change.action is not Action.SKIP for change in account.changes)
            if account.stopped or account.key in waiting or not works:
                outcomes.append(left_alone(account))
            else:
                outcomes.append(AccountOutcome(account.key, Outcome.COMMITTED, 1))
        platform = None if plan.platform is None else Outcome.COMMITTED
        return Result(plan, platform, tuple(outcomes), plan.revision)


def _failures(key: Owner, names: Mapping[str, str], desired: Desired) -> Iterable[Finding]:
    if key is PLATFORM_KEY:
        return
    account = desired.accounts.get(key)
    for name, code in names.items():
        profile = account.profiles.get(name) if account is not None else None
        if profile is not None:
            yield finding(
                code, f"Profile {name} is not saved ({code}).", where=profile.where, account=key
            )
