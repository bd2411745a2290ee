"""Every problem of a document's shape at once, in the terms of the manifests."""

import re
from collections.abc import Callable
from typing import Any

from msgspec import inspect
from pydantic import ValidationError

from sendroute.manifests import models
from sendroute.manifests.fields import Empty, OneOfShape
from sendroute.manifests.models import bare, model_of, type_of
from sendroute.manifests.names import InvalidNameError, domain_name, host
from sendroute.manifests.scalars import meaning
from sendroute.manifests.shapes import with_integers
from sendroute.manifests.wording import ENCRYPT_ONLY_SECRETS, ShapeProblem, dotted, shown, titled
from sendroute.model.finding import Path
from sendroute.model.providers import preset_meant_by
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.model.secret_text import encryption_of
from sendroute.model.spelling import did_you_mean, nearest, question

_SECRET_LIKE = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|api[-_]?key|key$|credential|auth|user", re.IGNORECASE
)
_FIELD_LIKE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_UNKNOWN = ("extra_forbidden", "invalid_key")  # pydantic's names of errors
_QUOTED = 40  # the longest text that a hint repeats
_NEVER_WRITTEN = (
    "Never write a secret in a manifest. Put the value into a secret with the keys username and "
    "password, and refer to it by credentials.secretRef.name."
)


# Fields that secret references have elsewhere.
_OF_SECRETS = {
    "namespace": "Remove the field: a secret is looked up in the namespace of the object.",
    "key": "Remove the field: a secret has the keys username and password.",
}

_NAMES: dict[str, tuple[tuple[Path, Callable[[str], object]], ...]] = {
    "MailPlatform": (
        (("spec", "managed", "host"), host),
        (("spec", "managed", "relay", "host"), host),
    ),
    "SMTPProfile": ((("spec", "host"), host),),
    "SendingDomain": (
        (("spec", "domain"), domain_name),
        (("spec", "route", "newProfile", "host"), host),
    ),
}


ScalarText = Callable[[Path], str | None]
"""Returns how a number, true, false or null is written; None if that is unknown."""


def problems(kind: str, value: Any, written: ScalarText = lambda _path: None) -> list[ShapeProblem]:
    """Find every problem of a document. No message repeats input that is long, unprintable or may
    be a secret.

    Args:
        kind: one of :data:`~sendroute.manifests.shapes.KINDS`.
        value: the document as read.
        written: how its scalars are written: 1.10 is read as 1.1.

    Returns:
        The problems; none exactly if the document can be decoded.
    """
    try:
        model_of(kind).model_validate(with_integers(value))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        title = titled(kind, _value_at(value, ("metadata", "name")))
        # One mistake is one problem: the field of a key such as `name:x` is not missing too.
        meant = {_meant(kind, error["loc"]) for error in errors if error["type"] in _UNKNOWN}
        of_shape = [
            _problem(
                kind, title, error["type"], error["loc"], error["input"], written(error["loc"])
            )
            for error in errors
            if error["type"] != "missing" or error["loc"] not in meant
        ]
        reported = {problem.path for problem in of_shape}
        return (
            of_shape + _bad_names(kind, title, value, reported) + _reserved_namespace(kind, value)
        )
    return []


def _bad_names(kind: str, title: str, value: Any, reported: set[Path]) -> list[ShapeProblem]:
    """Invalid names of hosts and domains. Compiling reports them too, but a document that has other
    problems is never compiled, and its author wants to see all of them at once."""
    problems = []
    for path, check in _NAMES.get(kind, ()):
        name = _value_at(value, path)
        if not isinstance(name, str) or path in reported:
            continue
        try:
            check(name)
        except InvalidNameError as error:
            message = f"{title}: {dotted(path)} {error.message}; the value is {shown(name)}."
            problems.append(ShapeProblem("invalid-value", path, False, message, error.hint))
    return problems


def _reserved_namespace(kind: str, value: Any) -> list[ShapeProblem]:
    """Also reported when a document is compiled, as bad names are."""
    path = ("metadata", "namespace")
    if kind == "MailPlatform" or _value_at(value, path) != PLATFORM_NAMESPACE:
        return []
    message = f"The {kind} is in the namespace {PLATFORM_NAMESPACE}, which is the platform's own."
    hint = "Declare it in another namespace. Only the platform's secrets are there."
    return [ShapeProblem("reserved-namespace", path, False, message, hint)]


def _value_at(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _problem(
    kind: str, title: str, error: str, path: Path, value: Any, written: str | None
) -> ShapeProblem:
    match error:
        case _ if error in _UNKNOWN:
            return _unknown(kind, title, path)
        case "missing":
            return _missing(kind, title, path)
        case models.NOT_ONE:
            return _not_one(kind, title, path, value)
        case "string_unicode":
            where = dotted(path) if path else "the document"
            message = (
                f"{title}: {where} contains half of a surrogate pair, which is not valid Unicode."
            )
            hint = "Write the character itself instead of its escape."
            return ShapeProblem("invalid-value", path, False, message, hint)
        case _:
            return _invalid(kind, title, path, value, written)


def _unknown(kind: str, title: str, path: Path) -> ShapeProblem:
    if (meant := _meant(kind, path)) is not None:
        message = f"{title}: no space follows the colon of {dotted(meant)}, so it is not read."
        hint = f"The key {meant[-1]} needs a colon and a space after it."
        return ShapeProblem("unknown-field", path, True, message, hint)
    node = _at(kind, path[:-1])
    key = path[-1]
    field = f"field {key}" if _is_field_like(key) else "such field (its name is not shown)"
    parent = "the document" if len(path) == 1 else dotted(path[:-1])
    message = f"{title}: {parent} has no {field}."
    return ShapeProblem("unknown-field", path, True, message, _unknown_hint(path, node))


def _unknown_hint(path: Path, node: inspect.Type) -> str:
    key = str(path[-1])
    fields = _names(node)
    if path[-2:-1] == ("secretRef",) and key in _OF_SECRETS:
        return _OF_SECRETS[key]
    if key.isdecimal():
        return "In braces a comma ends a value. Write a number without commas: 20000."
    if path == ("metadata", "namespace"):
        return "A MailPlatform has no namespace. Remove the field."
    near = nearest(key, fields)
    secret_like = _SECRET_LIKE.search(key)
    if near is not None and (not secret_like or _SECRET_LIKE.search(near)):
        return question(near)
    if secret_like or "credentials" in path:
        return _NEVER_WRITTEN
    return f"Its fields are {', '.join(fields)}." if fields else "Write an empty mapping: {}."


def _meant(kind: str, path: Path) -> Path | None:
    """The field of a key such as ``name:x``, which in braces is a key without a value; None for
    another key."""
    known, colon, _ = str(path[-1]).partition(":")
    return (*path[:-1], known) if colon and known in _names(_at(kind, path[:-1])) else None


def _missing(kind: str, title: str, path: Path) -> ShapeProblem:
    node = _at(kind, path)
    message = f"The required field {dotted(path)} of {title} is missing."
    return ShapeProblem("missing-field", path[:-1], False, message, _help(str(path[-1]), node))


def _not_one(kind: str, title: str, path: Path, value: Any) -> ShapeProblem:
    fields = _names(_at(kind, path))
    choice = ", ".join(fields)
    if not value:
        message = f"{title}: {dotted(path)} is empty, but must have exactly one of {choice}."
        return ShapeProblem("missing-field", path, False, message, "For example: {profile: ses}.")
    given = " and ".join(name for name in fields if name in value)
    message = f"{title}: {dotted(path)} must have exactly one of {choice}, not {given}."
    return ShapeProblem("invalid-value", path, False, message, "Keep one of them.")


def _invalid(kind: str, title: str, path: Path, value: Any, written: str | None) -> ShapeProblem:
    node = _at(kind, path)
    # A value in place of a reference to credentials may be the secret itself: never repeat it.
    secret = "credentials" in path and value is not None and not isinstance(value, dict)
    as_written = written if written and len(written) <= 40 else shown(value)
    given = "the value written there" if secret else as_written
    if isinstance(value, list) and value and isinstance(node, inspect.ListType):
        given = f"{len(value)}"
    subject = dotted(path) if path else "the document"
    message = f"{title}: {subject} must be {expected(node)}, not {given}."
    return ShapeProblem(
        "invalid-value",
        path,
        False,
        message,
        _invalid_hint(
            path,
            node,
            value,
            None if secret else as_written,
            required=_is_required(kind, path),
        ),
    )


def _invalid_hint(
    path: Path, node: inspect.Type, value: Any, written: str | None, *, required: bool
) -> str | None:
    """``written`` is the value as the author wrote it; None for one that may be a secret."""
    desired = bare(node)
    choices = _choices(desired)
    if isinstance(desired, inspect.AnyType) or not path:
        return None
    if isinstance(desired, inspect.StructType) and not desired.fields:
        return f"Write an empty mapping: {path[-1]}: {{}}."
    match value:
        case None if required:
            return f"Set a value. {_help(str(path[-1]), node) or ''}".rstrip()
        case None:
            return "Set a value, or remove the field."
        case _ if written is None:
            return _secret_hint(path, desired, value)
        case str() if encryption_of(value):
            return ENCRYPT_ONLY_SECRETS
        case str() if isinstance(desired, inspect.IntType) and _is_number(desired, value):
            return f"Write it without quotes: {int(value)}."
        case _ if isinstance(desired, inspect.BoolType):
            return "Write true or false, without quotes."
        case str() if path[-1] == "provider" and (preset := preset_meant_by(value)):
            return question(preset)
        case str() if hint := _one_of_hint(str(path[-1]), desired, value):
            return hint
        case str() if choices and (meant := did_you_mean(value, choices)):
            return meant
        case bool() | int() | float() if isinstance(desired, inspect.StrType):
            if desired.pattern is not None and not re.search(desired.pattern, written):
                return _help(str(path[-1]), node)
            return f'Put it into quotes to use it as text: "{written}".'
        case str() if isinstance(desired, inspect.StrType):
            return _slug_hint(desired, value) or _help(str(path[-1]), node)
        case _:
            return _help(str(path[-1]), node)


def unambiguous(kind: str, path: Path, text: str) -> str | None:
    """What to write for an ambiguous scalar in a field of a document.

    Args:
        kind: the kind of the document.
        path: the field.
        text: the scalar as it is written.

    Returns:
        A sentence; None if the type of the field does not decide it.
    """
    value = meaning(text)
    match bare(_at(kind, path)), value:
        case inspect.BoolType(), bool():
            return f"Write {str(value).lower()}."
        case inspect.IntType(), int() if not isinstance(value, bool):
            return f"Write {value}."
        case inspect.EnumType(cls), _ if text not in (words := [member.value for member in cls]):
            return f"Write one of {', '.join(words)}."
        case inspect.EnumType() | inspect.StrType(), _ if len(text) <= _QUOTED:
            return f'Write "{text}".'
        case _:
            return None


def _one_of_hint(name: str, desired: inspect.Type, value: str) -> str | None:
    """A word in place of a mapping with exactly one field: the mapping that it seems to mean."""
    if not isinstance(desired, inspect.StructType) or not issubclass(desired.cls, OneOfShape):
        return None
    fields = {field.encode_name: bare(field.type) for field in desired.fields}
    words = [
        key
        for key, node in fields.items()
        if isinstance(node, inspect.StructType) and node.cls is Empty
    ]
    near = nearest(value, words)
    if near is not None:
        return f"Write {name}: {{{near}: {{}}}}."
    profile = fields.get("profile")
    is_name = isinstance(profile, inspect.StrType) and re.search(profile.pattern or "", value)
    if is_name and value not in fields and len(value) <= 63:
        return f"For profile {value}, write {name}: {{profile: {value}}}."
    return None


def _secret_hint(path: Path, desired: inspect.Type, value: Any) -> str:
    """A number or a truth value may be the name of a secret, which needs quotes."""
    is_name = path[-1] == "name" and isinstance(desired, inspect.StrType)
    if is_name and isinstance(value, bool | int | float):
        return f"If it is the name of a secret, put it into quotes. {_NEVER_WRITTEN}"
    return _NEVER_WRITTEN


def _is_number(desired: inspect.IntType, text: str) -> bool:
    """Whether a text is a number that the field accepts."""
    if not re.fullmatch(r"[0-9]{1,19}", text):
        return False
    least, most = desired.ge, desired.le
    return (least is None or int(text) >= least) and (most is None or int(text) <= most)


def _slug_hint(desired: inspect.StrType, value: str) -> str | None:
    """Suggest a valid name for one with capital letters, spaces or underscores."""
    if len(value) > 63 or desired.pattern is None or "a-z0-9" not in desired.pattern:
        return None
    slug = re.sub(r"[^a-z0-9.]+", "-", value.lower()).strip("-.")
    return f"For example: {slug}." if re.search(desired.pattern, slug) else None


def _help(name: str, node: inspect.Type) -> str | None:
    """The description of a field in its shape, with an example."""
    extra = _schema_words(node)
    description = str(extra.get("description", "")) or None
    for example in extra.get("examples") or ():
        return f"{description} For example: {name}: {_flow(example)}"
    return description


def _flow(value: Any) -> str:
    """Return an example in YAML's flow style."""
    match value:
        case dict():
            inner = ", ".join(f"{key}: {_flow(item)}" for key, item in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _schema_words(node: inspect.Type) -> dict[str, Any]:
    return (node.extra_json_schema or {}) if isinstance(node, inspect.Metadata) else {}


def expected(node: inspect.Type) -> str:
    """Return what a field accepts, as the end of a sentence that begins with "must be"."""
    words = _custom_words(node)
    if words:
        return words
    desired = bare(node)
    choices = _choices(desired)
    if choices:
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    match desired:
        case inspect.IntType(ge=least, le=most) if most is not None and most < 2**31:
            return f"a whole number from {least} to {most}"
        case inspect.IntType(ge=least):
            return f"a whole number of at least {least}"
        case inspect.BoolType():
            return "true or false"
        case inspect.ListType(min_length=least, max_length=most):
            if most is not None:
                return f"a list of {least or 0} to {most} items"
            return "a list of at least one item" if least else "a list"
        case inspect.StructType():
            return "a mapping" if desired.fields else "an empty mapping: {}"
        case _:
            return "text"


def _custom_words(node: inspect.Type) -> str | None:
    match node:
        case inspect.Metadata(extra={"is": words}):
            return str(words)
        case inspect.Metadata(type=inner):
            return _custom_words(inner)
        case _:
            return None


def _choices(node: inspect.Type) -> list[str]:
    match node:
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
        case inspect.EnumType(cls=enum):
            return [str(member.value) for member in enum]
        case _:
            return []


def _names(node: inspect.Type) -> list[str]:
    """The names of a mapping's fields as authors write them."""
    match bare(node):
        case inspect.StructType(fields=fields, tag_field=tag):
            return [*([tag] if tag else []), *(field.encode_name for field in fields)]
        case _:
            return []


def _at(kind: str, path: Path) -> inspect.Type:
    """The type of the value at a path, ``AnyType`` if no shape describes it."""
    node: inspect.Type = type_of(kind)
    for step in path:
        match bare(node):
            case inspect.StructType(fields=fields):
                types = [field.type for field in fields if field.encode_name == step]
                node = types[0] if types else inspect.AnyType()
            case inspect.ListType(item_type=item):
                node = item
            case _:
                node = inspect.AnyType()
    return node


def _is_required(kind: str, path: Path) -> bool:
    parent = bare(_at(kind, path[:-1]))
    return isinstance(parent, inspect.StructType) and any(
        field.required for field in parent.fields if field.encode_name == path[-1]
    )


def _is_field_like(key: str | int) -> bool:
    return isinstance(key, str) and _FIELD_LIKE.fullmatch(key) is not None
