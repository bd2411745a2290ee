"""``kill -9`` at any moment of ``apply``: nothing lost, doubled or half done, and the next one goes
on from there."""

import json
import random
import time

import pytest

from .conftest import KILLS, PARTS, Place, check_whole
from .estates import ACCOUNTS, Estate, lay

# Of a whole run: from before its first step to after its last, and while it commits.
MOMENTS = [(-0.05, 1.1), (0.4, 0.9)]
APPLY = ("--auto-approve", "--max-change-percent", "100", "--max-remove-percent", "100", "-q")


@pytest.mark.parametrize("_part", range(PARTS))
def test_nothing_is_lost_doubled_or_half_done(
    _part: int, place: Place, chance: random.Random
) -> None:
    estate = Estate(chance)
    place.lay_secrets(ACCOUNTS, "first")
    folder = str(lay(estate.tree, place.home / "trees" / "0"))
    whole = timed(place, folder)
    amid = 0
    for turn in range(1, KILLS // PARTS + 1):
        estate.go_on()
        if chance.random() < 0.3:
            place.lay_secrets(chance.sample(ACCOUNTS, 2), f"word {turn}")
        folder = str(lay(estate.tree, place.home / "trees" / str(turn)))
        child = place.start("apply", folder, *APPLY)
        moment = child.began + chance.uniform(*chance.choice(MOMENTS)) * whole
        time.sleep(max(0.0, moment - time.monotonic()))
        child.kill()
        place.rest()
        amid += 0 < check_whole(place.current(), estate) < len(ACCOUNTS)
        place.check(opens=False)
        took = timed(place, folder)
        whole = max(took, 0.8 * whole)
        assert place.current() == estate.after
        place.check()
        is_empty(place, folder)
        place.check_nothing_is_left()
    print(f"{amid} of {KILLS // PARTS} were amid the commits, of {whole:.2f} s")


def timed(place: Place, folder: str) -> float:
    began = time.monotonic()
    place.run("apply", folder, *APPLY)
    return time.monotonic() - began


def is_empty(place: Place, folder: str) -> None:
    planned = place.run("plan", folder, "-o", "json", "-q")
    assert json.loads(planned.text())["changes"] == []
