"""Pydantic models derived from the shapes: they find every problem of a document, not the first.

Each constraint comes from the type information of the structs, so nothing is described twice.
Importing pydantic and building models is slow, so only documents that
:func:`~sendroute.manifests.shapes.decode` refused are validated with them.
"""

from functools import cache
from typing import Annotated, Any, Literal, cast

from msgspec import UNSET, inspect
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from sendroute.manifests.fields import OneOfShape
from sendroute.manifests.shapes import KINDS

NOT_ONE = "not_exactly_one"
"""The error type of a mapping that must have exactly one field, and has not."""


@cache
def type_of(kind: str) -> inspect.StructType:
    """Return the type information of a kind's struct."""
    return cast(inspect.StructType, inspect.type_info(KINDS[kind]))


@cache
def model_of(kind: str) -> type[BaseModel]:
    """Return the model that accepts exactly what the kind's struct accepts."""
    return _model(type_of(kind))


def bare(node: inspect.Type) -> inspect.Type:
    """Return the type itself, without its description."""
    return bare(node.type) if isinstance(node, inspect.Metadata) else node


def _model(node: inspect.StructType) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    if node.tag_field is not None:
        fields[node.tag_field] = (Literal[node.tag], ...)
    for field in node.fields:
        default = ... if field.required else UNSET
        fields[field.name] = (_type(field.type), Field(default, alias=field.encode_name))
    validators: dict[str, Any] = {}
    if issubclass(node.cls, OneOfShape):
        names = frozenset(field.encode_name for field in node.fields)
        validators["exactly_one"] = _exactly_one(names)
    model: type[BaseModel] = create_model(
        node.cls.__name__,
        # Python's engine, because the patterns of the shapes are Python's.
        __config__=ConfigDict(extra="forbid", strict=True, regex_engine="python-re"),
        __validators__=validators,
        **fields,
    )
    return model


def _type(node: inspect.Type) -> Any:
    match bare(node):
        case inspect.StructType() as struct:
            return _model(struct)
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return Annotated[list[_type(item)], Field(min_length=least, max_length=most)]  # type: ignore[misc]
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            return Annotated[str, Field(min_length=least, max_length=most, pattern=pattern)]
        case inspect.IntType(ge=least, le=most):
            return Annotated[int, Field(ge=least, le=most)]
        case inspect.BoolType():
            return bool
        case inspect.LiteralType(values=values):
            return Literal[values]
        case inspect.EnumType(cls=enum):
            return Literal[tuple(member.value for member in enum)]
        case inspect.AnyType():
            return Any
        case other:
            raise NotImplementedError(f"no model is derived from {other}")


def _exactly_one(names: frozenset[str]) -> Any:
    """A validator that counts the fields, and still reports the problems inside them."""

    def check(cls: type[BaseModel], value: Any, handler: Any) -> Any:
        errors: list[InitErrorDetails] = []
        try:
            checked = handler(value)
        except ValidationError as error:
            errors = [_as_new_error(detail) for detail in error.errors(include_url=False)]
        given = len(names & value.keys()) if isinstance(value, dict) else 1
        # A field with a misspelt name counts as set: it has a problem of its own.
        if given > 1 or (given == 0 and len(value) == 0):
            wrong = PydanticCustomError(NOT_ONE, "exactly one field must be set")
            errors.append(InitErrorDetails(type=wrong, loc=(), input=value))
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return checked

    wrapped: Any = classmethod(check)
    return model_validator(mode="wrap")(wrapped)


def _as_new_error(error: Any) -> InitErrorDetails:
    kind = error["type"]
    if kind == NOT_ONE:
        kind = PydanticCustomError(NOT_ONE, "exactly one field must be set")
    return InitErrorDetails(
        type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )
