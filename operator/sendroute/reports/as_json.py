"""A report as JSON: one change or finding per line, so that a long report streams and diffs well.

Minor versions of ``format_version`` only add keys.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import msgspec

from sendroute.model import unseen
from sendroute.model.account_status import ReportedFinding
from sendroute.model.change import AccountChange, Action, Change, PlatformChange, Shadowed
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.manifest_form import as_manifest
from sendroute.reports.report import ONLY_FINDS, AccountReport, Report

FORMAT_VERSION = "1.0"

Member = tuple[str, Any]

# Characters that a terminal, an editor or a build log interprets, or hides, although JSON allows
# them (RFC 8259, 7): all format characters of Unicode (Cf) that are general, among them those that
# change the direction of text, and the tags, which spell words that nobody sees; and letters
# that nobody sees. GitHub Actions, Azure Pipelines and TeamCity take ``##[``, ``##vso[`` and
# ``##teamcity[`` for a command anywhere in a line. ``::`` is one only where a line begins, as none
# does with a string's content.
_ACTED_ON = re.compile(
    r"#(?=#\w*\[)|[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    rf"|{unseen.PATTERN}"
)


def chunks(report: Report) -> Iterator[str]:
    return document(_members(report))


def _members(report: Report) -> Iterator[Member]:
    yield "format_version", FORMAT_VERSION
    if report.command in ONLY_FINDS:
        yield "summary", _problems(report)
        yield "findings", map(finding_form, report.findings)
        return
    if report.store is not None:
        yield "store", {"lineage": report.store.lineage, "revision": report.store.revision}
    apply = report.command != "plan"
    yield "summary", _by_action(change.action for change, _ in report.changes())
    if apply:
        yield "applied", _by_action(change.action for change, done in report.changes() if done)
    yield "changes", _changes(report, apply)
    yield "findings", map(finding_form, report.findings)
    yield "severities", {s.value: count for s, count in _all_severities(report).items()}
    changing = (
        account for account in report.accounts if apply or account.changes or account.stopped
    )
    yield "accounts", (_account_document(account, apply) for account in changing)
    yield (
        "shadowed",
        (shadowed_form(shadow) for account in report.accounts for shadow in account.shadowed),
    )
    if apply:
        yield "relays_behind", list(report.relays_behind)


def _by_action(actions: Iterable[Action]) -> dict[str, int]:
    counts = Counter(actions)
    return {action.value: counts[action] for action in Action}


def _all_severities(report: Report) -> dict[Severity, int]:
    counts = report.severities()
    return {severity: counts[severity] for severity in Severity}


def _problems(report: Report) -> dict[str, int]:
    counts = report.severities()
    return {
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "refused": counts[Severity.REFUSED],
        "infos": counts[Severity.INFO],
    }


def _changes(report: Report, apply: bool) -> Iterator[dict[str, Any]]:
    for change, applied in report.changes():
        document = _change(change, report)
        if apply:
            document["applied"] = applied
        yield document


def _change(change: Change, report: Report) -> dict[str, Any]:
    owner = (None, None) if isinstance(change, PlatformChange) else change.account
    document = {
        "kind": change.kind.value,
        "namespace": owner[0],
        "account": owner[1],
        "name": change.name,
        "action": change.action.value,
        "before": as_manifest(change.before) if change.before is not None else None,
        "after": as_manifest(change.after) if change.after is not None else None,
        "reason": change.reason,
        "message": change.message,
        "position": _line(change.where, report) if change.where is not None else None,
    }
    if isinstance(change, AccountChange) and change.completed is not None:
        apply_all, ran = change.completed
        document["apply_all"] = {
            "id": apply_all,
            "route": ran.route.as_manifest(),
            "domains": ran.domain_count,
        }
    return document


def _line(where: Where, report: Report) -> dict[str, Any]:
    position = report.locate(where)
    if position is None:
        return {"file": where.file}
    return {"file": position.file, "line": position.line}


def finding_form(finding: Finding | ReportedFinding) -> dict[str, Any]:
    """Return a finding as plain data, with the same keys in every document.

    Args:
        finding: the finding, with the hint for its reader. A stored one has no related positions;
            its account is that of its status. It lists the domains that it was reported for
            together.
    """
    form: dict[str, Any] = {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "hint": finding.hint,
    }
    if isinstance(finding, ReportedFinding):
        return form | {
            "position": _location(finding.position),
            "domains": finding.domains,
            "more_domains": finding.more_domains,
        }
    return form | {
        "position": _location(finding.position or finding.where),
        "namespace": finding.namespace,
        "account": finding.account,
        "related": [_location(related) for related in finding.related],
    }


def _location(location: Position | Where | str | None) -> dict[str, Any] | None:
    """A position, or a file as a whole."""
    match location:
        case None:
            return None
        case str():
            return {"file": location}
        case Where():
            return {"file": location.file}
        case Position():
            return {"file": location.file, "line": location.line, "column": location.column}
        case _:
            assert_never(location)


def _account_document(account: AccountReport, apply: bool) -> dict[str, Any]:
    document = {
        "namespace": account.key.namespace,
        "account": account.key.name,
        "revision": account.revision,
        "stopped": account.stopped,
    }
    if apply:
        document["outcome"] = account.outcome.value if account.outcome is not None else None
    return document


def shadowed_form(shadow: Shadowed) -> dict[str, Any]:
    return {
        "namespace": shadow.account.namespace,
        "account": shadow.account.name,
        "domain": shadow.domain,
        "declared": shadow.declared.as_manifest(),
        "assigned": shadow.assigned.as_manifest(),
        "apply_all": shadow.apply_all,
    }


def document(members: Iterable[Member]) -> Iterator[str]:
    """Write a JSON object in chunks, so that a large one is never in memory as a whole.

    Args:
        members: its keys and values. The values of an iterator become an array with one line each.

    Yields:
        The chunks of the text, which ends with a line break.
    """
    before = "{"
    for key, value in members:
        yield f"{before}{encoded(key)}: "
        before = ",\n "
        if isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield encoded(value)
    yield "}\n"


def _array(values: Iterator[Any]) -> Iterator[str]:
    before, after = "[\n  ", "[]"
    for value in values:
        yield before + encoded(value)
        before, after = ",\n  ", "\n ]"
    yield after


def encoded(value: Any) -> str:
    """One JSON value, without characters that a terminal interprets."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a file name that is not UTF-8: strict readers refuse surrogates
        text = msgspec.json.encode(_without_surrogates(value)).decode()
    return inert(text)


def inert(text: str) -> str:
    """Escape what a terminal, an editor or a build log interprets.

    Args:
        text: JSON, with such characters only in strings.

    Returns:
        The same JSON value.
    """
    return _ACTED_ON.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """A character beyond U+FFFF is two escapes (RFC 8259, section 7)."""
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(inner) for inner in value]
    return value
