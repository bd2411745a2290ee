"""The change that created the nexthop which a message used."""

from pathlib import Path

from msgspec.structs import replace
from tests.store.conftest import Say

from sendroute.cli.explain_message import _made
from sendroute.store.create import init_store


def test_it_is_the_change_of_that_profile_and_of_no_other(tmp_path: Path) -> None:
    say = Say()
    with init_store(f"sqlite:///{tmp_path}/s.db", say.provenance) as store:
        store.commit([say.plan(0, say.account(), say.profile("aaa"))], None, say.provenance)
        moved = say.profile("aaa", say.ses, replace(say.ses, port=465))
        store.commit([say.plan(1, moved, say.profile("bbb"))], None, say.provenance)
        for endpoint in store.endpoints():
            made = _made(store, endpoint)
            assert made is not None
            assert (made.name, made.revision) == (endpoint.binding.profile, endpoint.made)
