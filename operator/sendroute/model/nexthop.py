"""The alias by which a mail server knows one revision of a destination."""

import re
from typing import NamedTuple

RELAY_ID = 0
"""The managed relay in place of a profile's id; the ids of profiles begin with 1."""
BOUNCES_ID = -1
"""The bounce relay in place of a profile's id."""

# No leading zeros: an alias has one spelling, or two would name one destination.
_PROFILE = re.compile(r"p([1-9][0-9]{0,18})r([1-9][0-9]{0,9})", re.ASCII)
_RELAY = re.compile(r"([mb])0r([1-9][0-9]{0,9})", re.ASCII)
_RELAY_IDS = {"m": RELAY_ID, "b": BOUNCES_ID}


class Alias(NamedTuple):
    """One revision of one profile, ``p42r7``, of the managed relay, ``m0r3``, or of the bounce
    relay, ``b0r3``.

    ``profile`` is the store's id of the profile, :data:`RELAY_ID` for the managed relay and
    :data:`BOUNCES_ID` for that of bounces; ``version`` counts the revisions of it from 1. A queued
    message keeps its alias, so the destination of an alias never changes.
    """

    profile: int
    version: int

    def __str__(self) -> str:
        for kind, number in _RELAY_IDS.items():
            if self.profile == number:
                return f"{kind}0r{self.version}"
        return f"p{self.profile}r{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Alias":
        """Parse an alias.

        Args:
            text: the alias, for example ``p42r7``, ``m0r3`` or ``b0r3``.

        Returns:
            The alias.

        Raises:
            ValueError: the text is not an alias.
        """
        alias = None
        if match := _PROFILE.fullmatch(text):
            alias = cls(int(match[1]), int(match[2]))
        elif match := _RELAY.fullmatch(text):
            alias = cls(_RELAY_IDS[match[1]], int(match[2]))
        if alias is not None and alias.profile < 2**63 and alias.version < 2**31:
            return alias  # both fit their columns
        raise ValueError(f"{ascii(text)[:80]} is not an alias of a nexthop")
