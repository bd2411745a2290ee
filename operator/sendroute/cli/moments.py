"""Times as they are shown: UTC, RFC 3339, to the second."""

from datetime import UTC, datetime


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
