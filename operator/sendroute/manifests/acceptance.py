"""The annotation with which an author accepts findings below error where they arise."""

from collections.abc import Iterator
from functools import lru_cache

from msgspec import UNSET

from sendroute.manifests.fields import ClusterMetadata
from sendroute.manifests.headers import is_near
from sendroute.manifests.shapes import API_GROUP
from sendroute.manifests.wording import shown
from sendroute.model.codes import Code, Trait, finding
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.spelling import did_you_mean, nearest, question
from sendroute.model.words import counted

ANNOTATION = f"{API_GROUP}/accept"
APPROVE = f"{API_GROUP}/approve"
"""Approves a change that is held back, by its digest; the operator reads it."""
LONGEST = 4096
"""Characters of a value; more than all codes together have."""
_LISTED = 10
_OURS = frozenset({ANNOTATION, APPROVE})
_CODES = frozenset[str](Code)
_NEVER_ACCEPTED = {
    str(code): code.severity
    for code in Code
    if code.severity in (Severity.ERROR, Severity.REFUSED) and Trait.MAY_WARN not in code.traits
}
_NONE: frozenset[str] = frozenset()


def has_acceptance(metadata: ClusterMetadata) -> bool:
    """Whether an object accepts findings."""
    annotations = metadata.annotations
    return annotations is not UNSET and type(annotations) is dict and ANNOTATION in annotations


def is_marked(metadata: ClusterMetadata) -> bool:
    """Whether an object has an annotation that is ours, or that is meant to be."""
    annotations = metadata.annotations
    if annotations is UNSET or type(annotations) is not dict:
        return False
    return any(name in _OURS or _meant(name) is not None for name in annotations)


@lru_cache(maxsize=1024)  # the same few tools annotate every object of a tree
def _meant(name: object) -> str | None:
    """Our annotation of which another one is a near miss. An annotation without a group, or of
    another group, is another program's."""
    if not isinstance(name, str) or name in _OURS:
        return None
    group, slash, rest = name.partition("/")
    if not slash or not (group.lower() == API_GROUP or is_near(name)):
        return None
    return nearest(f"{API_GROUP}/{rest}", _OURS)


def accepted_codes(metadata: ClusterMetadata) -> frozenset[str]:
    """Return the codes that an object accepts, known or not."""
    return codes_in(metadata.annotations[ANNOTATION]) if has_acceptance(metadata) else _NONE


def codes_in(text: object) -> frozenset[str]:
    """Return the codes in the value of the annotation, known or not; none if it is no text, or too
    long to be meant."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return _NONE
    return frozenset(code.strip() for code in text.split(","))


def check_acceptance(title: str, metadata: ClusterMetadata, where: Where) -> Iterator[Finding]:
    """Yield a warning for each accepted code that does not exist, or that is never below error, and
    for each annotation that is nearly called as one of ours.

    Args:
        title: the object as messages name it: ``SMTPProfile ses``.
        metadata: its metadata.
        where: the object.
    """
    for name in metadata.annotations if is_marked(metadata) else ():
        if meant := _meant(name):
            yield _warning(
                title, "is none of Sendroute's, and is ignored", question(meant), where, name
            )
    text = metadata.annotations[ANNOTATION] if has_acceptance(metadata) else ""
    if not isinstance(text, str):
        yield _warning(title, "must be text: CODE or CODE,CODE", "Quote the value.", where)
    elif len(text) > LONGEST:
        predicate = f"is longer than {LONGEST} characters, and accepts nothing"
        yield _warning(title, predicate, "List only codes that findings show.", where)
    unknown = sorted(accepted_codes(metadata) - _CODES)
    for code in unknown[:_LISTED]:  # comparing one with all codes takes long
        hint = did_you_mean(code, _CODES) or "Write codes as findings show them."
        yield _warning(title, f"names {shown(code)}, which is the code of no finding", hint, where)
    if more := len(unknown[_LISTED:]):
        predicate = f"names {counted(more, 'more code')} of no finding"
        yield _warning(title, predicate, "Write codes as findings show them.", where)
    for code in sorted(accepted_codes(metadata) & _NEVER_ACCEPTED.keys()):
        name = "a refusal" if _NEVER_ACCEPTED[code] is Severity.REFUSED else "an error"
        yield _warning(
            title,
            f"names {shown(code)}, which is {name} and cannot be accepted",
            "Remove the code: only warnings and notes can be accepted.",
            where,
        )


def _warning(
    title: str, predicate: str, hint: str, where: Where, annotation: str = ANNOTATION
) -> Finding:
    return finding(
        "invalid-value",
        f"The annotation {shown(annotation)} of {title} {predicate}.",
        hint=hint,
        where=where.at("metadata", "annotations", annotation),
        severity=Severity.WARNING,
    )
