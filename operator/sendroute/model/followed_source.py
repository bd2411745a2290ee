"""Which tree a loop serves, and why it does not serve the newest one."""

from datetime import datetime

from msgspec import Struct

from sendroute.model.account_status import ReportedFinding


class FollowedSource(Struct, frozen=True):
    """What one loop follows. ``name`` is the source as it is logged, without a user name.

    ``commit`` is the commit of the tree that is served, None for a directory outside git; it is
    served since ``since``, None if no tree was served yet. ``faults`` say why the newest tree is
    not served, since ``faulty_since``; both are empty if it is. The loop was last seen at
    ``seen_at``, None if that is unknown, and stopped at ``stopped_at``, None unless a signal
    stopped it. Times are aware, in UTC.
    """

    name: str
    commit: str | None = None
    since: datetime | None = None
    faults: tuple[ReportedFinding, ...] = ()
    faulty_since: datetime | None = None
    seen_at: datetime | None = None
    stopped_at: datetime | None = None
