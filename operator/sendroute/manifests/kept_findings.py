"""The findings of a file or a tree, as many as are kept: a file of a few KiB in git may lead to
millions. What an error stops never depends on how many findings are kept."""

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.words import counted

MOST_OF_FILE = 100
MOST_OF_TREE = 10_000


class KeptFindings:
    """Always kept is the first finding of each account, so that each stopped account shows why,
    and the first because of which something is unread.

    ``findings`` are those that are kept, ``unread`` those of them because of which something could
    not be read, and ``omitted`` is the number of the others.
    """

    def __init__(self, most: int) -> None:
        self.findings: list[Finding] = []
        self.unread: list[Finding] = []
        self.omitted = 0
        self._most = most
        self._accounts: set[tuple[str | None, str]] = set()

    def add(self, item: Finding, *, is_unread: bool = False) -> None:
        """Keep a finding, or count it."""
        account = None if item.account is None else (item.namespace, item.account)
        is_needed = is_unread and not self.unread
        if account is not None and account not in self._accounts:
            self._accounts.add(account)
            is_needed = True
        if len(self.findings) >= self._most and not is_needed:
            self.omitted += 1
            return
        self.findings.append(item)
        if is_unread:
            self.unread.append(item)

    def summary(self, severity: Severity) -> list[Finding]:
        """The last finding, which says how many are not shown; none if all are.

        Args:
            severity: the severity of the others.
        """
        if not self.omitted:
            return []
        verb = "is" if self.omitted == 1 else "are"
        item = finding(
            "findings-omitted",
            f"{counted(self.omitted, 'more finding')} {verb} not shown.",
            hint="Fix those that are shown first. The others have their effect all the same.",
            severity=severity,
        )
        return [item]
