"""Rules of an organisation: a JSON Schema for each document, in any draft.

A policy for one kind uses ``if``/``then`` on ``kind``. Its references must lead to the policy
itself: nothing is ever fetched. The hint of a finding is the ``message`` (a keyword of no draft, so
all drafts ignore it), the ``description`` or the ``title`` of the violated rule.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from msgspec.structs import replace
from referencing.exceptions import Unresolvable
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scanner import Scanner

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.manifests.time_budget import TimeBudget, TimeUsedUpError
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Position, Where
from sendroute.model.remedy import Configure, Setting

PolicyInput = dict[str, Any]
_MAX_BYTES = 1 << 20
_MAX_UNFOLDED = 4 * _MAX_BYTES
_MAX_DEPTH = 100
_MAX_PER_DOCUMENT = 100
# A policy has these seconds of processor time, and these more for each document: a rule may take
# exponential time, and a document may be written to make it do so.
_SECONDS = 5.0
_SECONDS_PER_DOCUMENT = 0.01
_MAX_LENGTH = 200
# What jsonschema raises for rules and numbers that it does not foresee.
_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    UnknownType,
    ValueError,
    re.error,
)
_HINT_KEYWORDS = ("message", "description", "title")


class Policy(NamedTuple):
    file: str
    validator: Validator
    budget: TimeBudget


def load_policies(files: Sequence[str]) -> tuple[list[Policy], list[Finding]]:
    """Load policies.

    Args:
        files: the paths of JSON Schemas, in YAML or JSON.

    Returns:
        The valid policies, and a finding for each of the others.
    """
    policies, findings = [], []
    for file in files:
        read = _load(file)
        if isinstance(read, Policy):
            policies.append(read)
        else:
            findings.append(read)
    return policies, findings


def check(
    policies: Sequence[Policy], documents: Iterable[tuple[Where, PolicyInput]]
) -> Iterator[Finding]:
    """Check documents against policies (JSON Schema, in the draft that each policy declares).

    A policy with a reference that cannot be resolved is reported once, at the policy's file, and is
    then not used; so is one that takes too long, at the document.

    Args:
        policies: the policies, from :func:`load_policies`.
        documents: each document as plain data, with its file and ordinal.

    Yields:
        A ``policy-violation`` for each rule that a document violates, at most 100 per document and
        policy, and for each document that a rule cannot be applied to.
    """
    usable = list(policies)
    for where, document in documents:
        for policy in list(usable):
            policy.budget.add(_SECONDS_PER_DOCUMENT)
            try:
                with policy.budget.spending():
                    errors = sorted(policy.validator.iter_errors(document), key=_violation_key)
            except TimeUsedUpError:
                usable.remove(policy)
                yield _too_slow(policy, where, document)
                continue
            except (Unresolvable, RecursionError) as unusable:
                usable.remove(policy)
                yield _broken(policy.file, _why_unusable(unusable))
                continue
            except _FAILURES:
                yield _unchecked(policy, where, document)
                continue
            for error in islice(errors, _MAX_PER_DOCUMENT):
                yield _violation(policy, error, where, document)


def _load(file: str) -> Policy | Finding:
    budget = TimeBudget(_SECONDS)
    try:
        with budget.spending():
            return _read(file, budget)
    except TimeUsedUpError:
        return _broken(file, f"to read it takes more than {_SECONDS:g} s of processor time")


def _read(file: str, budget: TimeBudget) -> Policy | Finding:
    try:
        with open(file, "rb", opener=regular) as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            return _too_large(file)
        schema = _parser().load(without_mark(content))
    except OSError as error:
        reason = reason_of(error)
        return finding(
            "unreadable",
            f"The policy {file} cannot be read: {reason}.",
            hint="Give the path of a JSON Schema in YAML or JSON.",
            remedy=Configure(Setting.POLICY),
            where=Where(file, 0),
        )
    except (YAMLError, ValueError, RecursionError) as error:
        return _syntax(file, error)
    if not isinstance(schema, dict | bool):
        return _broken(file, "a JSON Schema is a mapping")
    try:
        if _unfolded(schema, {}) > _MAX_UNFOLDED:
            return _broken(file, "its aliases unfold to more than a policy may hold")
    except RecursionError as error:
        return _broken(file, _why_unusable(error))
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str | None):
        return _broken(file, "its $schema is not text")
    draft = validators.validator_for(schema, default=Draft202012Validator)
    if named is not None and named.rstrip("#") != _named_by(draft).rstrip("#"):
        return _broken(file, f"its $schema, {named}, is not a draft that Sendroute knows")
    try:
        draft.check_schema(schema)  # type: ignore[arg-type]  # true and false are schemas too
    except SchemaError as error:
        path_text = ".".join(map(str, error.absolute_path)) or "its top"
        return _broken(file, f"at {path_text}, {_clipped(error.message)}")
    except RecursionError as error:
        return _broken(file, _why_unusable(error))
    except _FAILURES:
        return _broken(file, "it is no usable JSON Schema")
    # The registry holds the drafts' own schemas and fetches nothing else.
    return Policy(file, draft(schema, registry=REGISTRY), budget)


class _ShallowScanner(Scanner):
    """Stops at a depth of brackets that no policy has. It scans ahead, and looks at all open
    brackets for each token: without a limit that takes seconds."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        if len(self.flow_context) >= _MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass, to_push)


def _parser() -> YAML:
    # Not the C parser: a deeply nested file overflows its stack.
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _ShallowScanner
    return parser


def _unfolded(value: object, known: dict[int, int]) -> int:
    """How many values and characters it holds, those behind a YAML alias each time. Messages show
    values, so they can grow as large.

    Raises:
        RecursionError: it holds itself.
    """
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(item, known) for item in items)
    return known[id(value)]


def _named_by(draft: type[Validator]) -> str:
    return str(draft.META_SCHEMA.get("$id") or draft.META_SCHEMA.get("id"))


def _unchecked(policy: Policy, where: Where, document: PolicyInput) -> Finding:
    return finding(
        "policy-violation",
        f"{_title(document)} cannot be checked against the policy {policy.file}.",
        hint="Look for a number that is infinite or not a number in the document, or for an unusual"
        " rule in the policy.",
        where=where,
    )


def _too_slow(policy: Policy, where: Where, document: PolicyInput) -> Finding:
    return finding(
        "policy-violation",
        f"{_title(document)} cannot be checked against the policy {policy.file}: that takes too"
        " long. The documents after it are not checked either.",
        hint="Look for a pattern in the policy with a repetition in a repetition, such as (a+)+, or"
        " for a very long text in the document. A policy has"
        f" {_SECONDS:g} s of processor time, and {_SECONDS_PER_DOCUMENT * 1000:g} ms more for each"
        " document.",
        where=where,
    )


def _title(document: PolicyInput) -> str:
    name = document.get("metadata", {})
    name = name.get("name") if isinstance(name, dict) else None
    return f"{document.get('kind')} {name or ''}".rstrip()


def _violation(
    policy: Policy, error: ValidationError, where: Where, document: PolicyInput
) -> Finding:
    path = tuple(error.absolute_path)
    path_text = ".".join(map(str, path)) or "the document"
    return finding(
        "policy-violation",
        f"{_title(document)} breaks the policy {policy.file} at {path_text}:"
        f" {_clipped(error.message)}.",
        hint=_hint(error, policy),
        where=where.at(*path),
    )


def _hint(error: ValidationError, policy: Policy) -> str | None:
    """The author's text at the violated rule, or at the nearest rule around it."""
    for schema in (error.schema, policy.validator.schema):
        if isinstance(schema, dict):
            for key in _HINT_KEYWORDS:
                if isinstance(schema.get(key), str):
                    return str(schema[key])
    return None


def _violation_key(error: ValidationError) -> tuple[list[str], str]:
    return [str(step) for step in error.absolute_path], error.message


def _why_unusable(error: Unresolvable | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it refers to itself without end"
    return f"it refers to {error.ref}, which is not in it; nothing is fetched"


def _clipped(message: str) -> str:
    line = " ".join(message.split()).rstrip(".")
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1] + "…"


def _too_large(file: str) -> Finding:
    return finding(
        "too-large",
        f"The policy {file} is larger than {_MAX_BYTES >> 20} MiB.",
        hint="Split it into several policies.",
        where=Where(file, 0),
    )


def _syntax(file: str, error: Exception) -> Finding:
    if isinstance(error, RecursionError) or "maximum nesting depth" in str(error):
        return finding(
            "yaml-unsupported",
            f"The policy {file} is nested deeper than {_MAX_DEPTH} levels.",
            hint="Split the rule with $defs and $ref.",
            where=Where(file, 0),
        )
    if "integer string conversion" in str(error):  # Python's limit, sys.set_int_max_str_digits
        return finding(
            "too-large",
            f"The policy {file} holds a number with too many digits.",
            hint="Write a smaller number.",
            where=Where(file, 0),
        )
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    problem = finding(
        "yaml-syntax",
        f"The policy {file} is not well-formed YAML or JSON.",
        hint="A policy is a JSON Schema in YAML or JSON.",
        where=Where(file, 0),
    )
    if mark is None:
        return problem
    return replace(problem, position=Position(file, mark.line + 1, mark.column + 1))


def _broken(file: str, reason: str) -> Finding:
    return finding(
        "invalid-value",
        f"The policy {file} cannot be used: {reason}.",
        hint="A policy is a JSON Schema that holds all that it refers to.",
        where=Where(file, 0),
    )
