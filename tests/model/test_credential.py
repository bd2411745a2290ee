"""A credential is never shown, serialised or copied."""

import copy
import json
import pickle
import pprint
import traceback

import msgspec
import pytest

from sendroute.model.credential import Credential

SECRET = Credential("canary-user", "canary-password")


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{!r:>40}".format, pprint.pformat, lambda value: repr([value])],
    ids=["repr", "str", "format", "format with a width", "pprint", "inside a list"],
)
def test_no_text_form_shows_the_content(show) -> None:
    assert "canary" not in show(SECRET)
    assert "Credential" in show(SECRET)


@pytest.mark.parametrize(
    "copy_out",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        vars,
    ],
)
def test_serialising_and_copying_are_refused(copy_out) -> None:
    with pytest.raises(TypeError) as refused:
        copy_out(SECRET)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


def test_attributes_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        SECRET.password = "other"
    with pytest.raises(AttributeError):
        del SECRET.password


def test_credentials_compare_by_value() -> None:
    assert Credential("canary-user", "canary-password") == SECRET
    assert hash(Credential("canary-user", "canary-password")) == hash(SECRET)
    assert Credential("canary-user", "other") != SECRET
    assert SECRET != ("canary-user", "canary-password")
