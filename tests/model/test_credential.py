"""A credential is shown and copied by nothing."""

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
def test_is_shown_hidden(show) -> None:
    assert "canary" not in show(SECRET)
    assert "Credential" in show(SECRET)


@pytest.mark.parametrize(
    "take_away",
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
def test_is_serialised_by_nothing(take_away) -> None:
    with pytest.raises(TypeError) as refused:
        take_away(SECRET)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


def test_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        SECRET.password = "other"
    with pytest.raises(AttributeError):
        del SECRET.password


def test_equal_values_are_equal() -> None:
    assert Credential("canary-user", "canary-password") == SECRET
    assert hash(Credential("canary-user", "canary-password")) == hash(SECRET)
    assert Credential("canary-user", "other") != SECRET
    assert SECRET != ("canary-user", "canary-password")
