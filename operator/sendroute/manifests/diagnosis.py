"""Every problem of one document that was read exactly, as findings with lines."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from sendroute.manifests.exact import DocumentDraft, scalar_text, shown, written
from sendroute.manifests.fast import MAX_DEPTH
from sendroute.manifests.headers import (
    ACCOUNT_PATHS,
    account_of,
    domain_of,
    has_group,
    holds_objects,
    is_misspelt,
    is_near_kind,
    profiles_of,
)
from sendroute.manifests.shapes import API_GROUP, API_VERSION, KINDS
from sendroute.manifests.syntax import SyntaxFault
from sendroute.manifests.wording import ENCRYPT_ONLY_SECRETS, ShapeProblem
from sendroute.manifests.wording import shown as shown_value
from sendroute.model.codes import Code, Trait, finding, has_trait
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Path, Position, Where
from sendroute.model.secret_text import encryption_of
from sendroute.model.spelling import did_you_mean, question


class Diagnosis(NamedTuple):
    """The findings of a document; a valid one has none.

    ``account_known`` is False if the document must belong to an account, but its account cannot be
    read. ``profiles`` are the names of the profiles that it would define; None means a name that
    cannot be read. ``domain`` is the sending domain that it declares; None if it declares none that
    is valid.
    """

    findings: list[Finding]
    account: AccountKey | None
    account_known: bool
    profiles: set[str | None]
    domain: str | None


def diagnose(draft: DocumentDraft, where: Where) -> Diagnosis:
    """Find every problem of a document.

    Args:
        draft: the document as read; it must be one of ours.
        where: its position.
    """
    value = draft.node.value
    faults = [
        fault
        for fault in draft.faults
        if fault.code != Code.AMBIGUOUS_SCALAR or _is_ours_to_read(fault.path)
    ]
    doubtful = {fault.path for fault in faults if has_trait(fault.code, Trait.VALUE)}
    wrong_header = _of_header(value, draft)
    problems = wrong_header or _of_shape(value, draft)
    problems = [
        problem
        for problem in problems
        if problem.path not in doubtful and not is_blind(draft, problem.path)
    ]
    kind = value.get("kind")
    account = account_of(value)
    paths = ACCOUNT_PATHS.get(kind) if isinstance(kind, str) else None
    if (
        wrong_header
        or paths is None
        or any(path in doubtful or is_blind(draft, path) for path in paths)
    ):
        account = None
    domain = None if wrong_header or ("spec", "domain") in doubtful else domain_of(value)
    account_known = account is not None or (paths == () and not wrong_header)
    if not wrong_header:
        faults = [_with_type(fault, draft) for fault in faults]
    findings = [_from_fault(fault, where, account, domain) for fault in faults]
    for problem in problems:
        position = draft.position(problem.path, problem.of_key)
        at = where.at(*problem.path, of_key=problem.of_key)
        item = finding(
            problem.code,
            problem.message,
            hint=problem.hint,
            where=at,
            account=account,
            domain=domain,
        )
        findings.append(replace(item, position=Position(where.file, *position)))
    profiles: set[str | None] = {None} if draft.blind else profiles_of(value)
    return Diagnosis(findings, account, account_known, profiles, domain)


def from_fault(fault: SyntaxFault, file: Where) -> Finding:
    """Return the finding for a fault of the text itself, outside any document of the file."""
    return _from_fault(fault, file, None)


def _from_fault(
    fault: SyntaxFault, where: Where, account: AccountKey | None, domain: str | None = None
) -> Finding:
    item = finding(
        fault.code,
        fault.message,
        hint=fault.hint,
        where=where.at(*fault.path),
        account=account,
        domain=domain,
    )
    related = (Position(where.file, *fault.related),) if fault.related else ()
    return replace(item, position=Position(where.file, *fault.position), related=related)


def is_blind(draft: DocumentDraft, path: Path) -> bool:
    """Whether a part of the document that contains ``path`` was not read."""
    return any(path[:length] in draft.blind for length in range(len(path) + 1))


def _is_ours_to_read(path: Path) -> bool:
    """Whether we read this field: not labels, annotations, status and others that kubectl and the
    API server add."""
    match path:
        case ("spec" | "apiVersion" | "kind", *_) | ("metadata", "name" | "namespace", *_):
            return True
        case _:
            return False


def _with_type(fault: SyntaxFault, draft: DocumentDraft) -> SyntaxFault:
    """An ambiguous scalar's hint is what to write in its field."""
    from sendroute.manifests.problems import unambiguous

    kind = draft.node.value.get("kind")
    if fault.code != Code.AMBIGUOUS_SCALAR or kind not in KINDS:
        return fault
    text = scalar_text(draft, fault.path)
    hint = unambiguous(kind, fault.path, text)
    return fault._replace(hint=hint) if hint else fault


def _of_shape(value: dict[str, Any], draft: DocumentDraft) -> list[ShapeProblem]:
    from sendroute.manifests.problems import problems

    return problems(value["kind"], value, partial(written, draft))


def _of_header(value: dict[str, Any], draft: DocumentDraft) -> list[ShapeProblem]:
    """Errors in the header, with which a document cannot be read as one of our kinds at all."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if is_misspelt(value):
        return _of_near_group(str(version), kind)
    if isinstance(version, str) and version and version != API_VERSION:
        return [
            ShapeProblem(
                "unknown-version",
                ("apiVersion",),
                False,
                f"{API_GROUP} has no version {shown(version)}.",
                f"Write apiVersion: {API_VERSION}.",
            )
        ]
    if kind is None and not is_blind(draft, ("kind",)):
        return [
            ShapeProblem(
                "missing-field",
                (),
                False,
                "The required field kind of the document is missing.",
                f"{_kinds()}.",
            )
        ]
    if not isinstance(kind, str):
        given = "" if kind is None else f", not {shown_value(kind)}"
        message = f"The kind of the document must be one of Sendroute's kinds{given}."
        return [ShapeProblem("invalid-value", ("kind",), False, message, f"{_kinds()}.")]
    if kind not in KINDS:
        return [_unknown_kind(kind)]
    return []


def _of_near_group(version: str, kind: Any) -> list[ShapeProblem]:
    """Errors of a document of which the group is nearly ours, and perhaps the kind too."""
    if isinstance(kind, str) and _is_own_list(kind):
        return [_unknown_kind(kind)]
    group = version.partition("/")[0]
    given = f"the group is {shown(group)}"
    if not has_group(version):
        given = f"the apiVersion {shown(version)} has no group"
    elif API_GROUP in version.lower():
        given = f"the apiVersion is {shown_value(version)}"
    hint = question(f"apiVersion: {API_VERSION}")
    if isinstance(kind, str) and kind in KINDS:
        message = f"{kind} is a kind of {API_GROUP}, and {given}."
        return [ShapeProblem("unknown-group", ("apiVersion",), False, message, hint)]
    message = f"The group of Sendroute's kinds is {API_GROUP}, and {given}."
    problems = [ShapeProblem("unknown-group", ("apiVersion",), False, message, hint)]
    return [*problems, _unknown_kind(kind)] if isinstance(kind, str) else problems


def _unknown_kind(kind: str) -> ShapeProblem:
    given = shown(kind) if kind == kind.strip() else shown_value(kind)
    message = f"{API_GROUP} has no kind {given}."
    return ShapeProblem("unknown-kind", ("kind",), False, message, _nearest(kind))


def _is_own_list(kind: str) -> bool:
    return is_near_kind(kind) and kind.strip().lower().endswith("list")


def _kinds() -> str:
    return f"The kinds are {', '.join(KINDS)}"


def _nearest(kind: str) -> str:
    if encryption_of(kind):
        return ENCRYPT_ONLY_SECRETS
    if _is_own_list(kind):
        return "Write several objects with apiVersion: v1 and kind: List."
    return did_you_mean(kind.strip(), KINDS) or f"{_kinds()}."


def hides_objects(draft: DocumentDraft) -> bool:
    """Whether a document that is not one of ours holds one that is not read, or may hold one that
    cannot be seen: a list that is no List, an item of a List that is no object, or a mapping whose
    kind comes from somewhere else."""
    value = draft.node.value
    if holds_objects(value):
        return True
    if not isinstance(value, dict):
        return draft.in_list or any(map(_is_too_deep_in_lists, draft.blind))
    merged = is_blind(draft, ("<<",))
    unknown = [
        value.get(name) is None and (merged or is_blind(draft, (name,)))
        for name in ("apiVersion", "kind")
    ]
    return all(unknown)


def _is_too_deep_in_lists(path: Path) -> bool:
    """Whether what was not read may be an object of ours in a list of lists."""
    return len(path) >= MAX_DEPTH and all(type(step) is int for step in path)


def unusable_list(draft: DocumentDraft, where: Where) -> Iterator[Finding]:
    """What is wrong with a List, or with an item of one, that does not show what it holds."""
    if draft.faults:
        yield from (_from_fault(fault, where, None) for fault in draft.faults)
        return
    value = draft.node.value
    code: str = "invalid-value"
    path: Path = ()
    if holds_objects(value):
        given = "a list of objects" if isinstance(value, list) else "no List, but holds objects"
        message = f"The document is {given}."
        hint = (
            "Write apiVersion: v1 and kind: List, with the objects as items, or each object as a"
            " document of its own."
        )
    elif not draft.in_list and "apiVersion" not in value:
        code, message = "missing-field", "The required field apiVersion of the List is missing."
        hint = "Write apiVersion: v1."
    elif not draft.in_list:
        path = ("items",) if "items" in value else ()
        given = f"not {shown_value(value['items'])}" if path else "but the List has none"
        message = f"The items of a List must be a list of objects, {given}."
        hint = "An empty List has items: []."
    elif isinstance(value, dict):
        # kubectl writes none, and they are hard to review.
        message, hint = (
            "A List must not contain another List.",
            "Move its items into the outer List.",
        )
    else:
        message = f"A List must hold objects, not {shown_value(value)}."
        hint = "Remove the item, or write the object that belongs there."
    item = finding(code, message, hint=hint, where=where.at(*path))
    yield replace(item, position=Position(where.file, *draft.position(path, of_key=False)))
