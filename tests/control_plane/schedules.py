"""Schedules of faults that a seed gives again."""

import random

from .faulty_api import Call, FaultInjector, FaultKind, InjectedFault

_LATER = (429, 500, 503)
"""A server that cannot answer now: nothing was done."""
_ANSWERS = {"list": (410, *_LATER), "watch": (410, *_LATER), "get": _LATER}
_ANSWERS_OF_WRITES = (409, *_LATER)
_CUTS = (FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER)
_KINDS = {
    "list": (FaultKind.ERROR, *_CUTS, FaultKind.DELAY, FaultKind.STALE_LIST),
    "watch": (
        *(FaultKind.ERROR, FaultKind.CUT_BEFORE, FaultKind.DELAY),
        *(FaultKind.CUT_WATCH, FaultKind.CUT_EVENT, FaultKind.END_WATCH, FaultKind.EXPIRE_WATCH),
    ),
}
_KINDS_OF_OTHERS = (FaultKind.ERROR, *_CUTS, FaultKind.DELAY)


def schedule(seed: int, *, rate: float | None = None, longest_delay: float = 0.1) -> FaultInjector:
    """Faults by a seed.

    The fault of a call depends on the seed, on what is called and on how many such calls came
    before, and on nothing else: not on the time, and not on how threads are interleaved.

    ``rate``: the part of calls that fail; by the seed if None.
    """
    part = random.Random(seed).uniform(0.05, 0.5) if rate is None else rate

    def faults(call: Call, number: int) -> InjectedFault | None:
        draw = random.Random(f"{seed} {call.verb} {call.resource} {number}")
        if draw.random() >= part:
            return None
        return InjectedFault(
            draw.choice(_KINDS.get(call.verb, _KINDS_OF_OTHERS)),
            status=draw.choice(_ANSWERS.get(call.verb, _ANSWERS_OF_WRITES)),
            seconds=draw.uniform(0.0, longest_delay),
            events=draw.choice((0, 0, 1, 2, 5)),
        )

    return faults
