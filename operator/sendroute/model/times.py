"""Times as text, in UTC: RFC 3339 for programs, to the minute for tables."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Return a time for programs (RFC 3339): ``2026-11-23T04:10:05Z``.

    Args:
        at: the time, aware.
    """
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def to_minute(at: datetime) -> str:
    """Return a time for people: ``2026-11-23 04:10Z``.

    Args:
        at: the time, aware.
    """
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
