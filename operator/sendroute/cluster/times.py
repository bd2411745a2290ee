"""Every time span of the operator, in seconds."""

from msgspec import Struct


class Times(Struct, frozen=True):
    """``batch``: between two reads of what arrived. ``settle``: without an event of its objects,
    before an account is reconciled. ``settle_destructive``: the same for what cannot be undone.
    ``grace_period``: for a reference to what does not exist yet, and for a fault of the API.
    ``settle_longest``: at most, however many events arrive. ``interval``: between rounds over all
    accounts. ``first_retry`` and ``longest_wait``: before a request to the API is repeated.
    ``relist``: between complete lists. ``watch``: a watch lasts at least that long. ``silence``:
    without a byte of an answer. ``heartbeat``: a wait lasts at most that long. ``lease``, ``renew``
    and ``lease_retry``: how long a leader holds its Lease, tries to renew it, and waits between
    tries.
    """

    batch: float = 0.05
    settle: float = 1.0
    settle_destructive: float = 5.0
    grace_period: float = 10.0
    settle_longest: float = 60.0
    interval: float = 300.0
    first_retry: float = 1.0
    longest_wait: float = 30.0
    relist: float = 3600.0
    watch: float = 300.0
    silence: float = 90.0
    heartbeat: float = 10.0
    lease: int = 15
    renew: int = 10
    lease_retry: int = 2
