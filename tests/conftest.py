"""Options and fixtures that all tests share."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.control_plane.fixtures import (  # noqa: F401
    actionlint,
    control_plane,
    crds,
    helm,
    kstatus,
    namespace,
    private_control_plane,
    servers,
)
from tests.isolation import isolate
from tests.postgres import Cluster

# A busy machine is no failure: no example has a time limit.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-cases",
        action="store_true",
        help="rewrite the golden files; review every difference",
    )


@pytest.hookimpl(tryfirst=True)  # before workers are started
def pytest_sessionstart() -> None:
    isolate()


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say what was not tested at all, because a program is missing here."""
    reports: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    reasons = (report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple))
    missing = Counter(
        reason for reason in reasons if reason.removeprefix("Skipped: ").startswith("NO ")
    )
    for reason, count in missing.items():
        text = f"{count} tests were skipped. {reason.removeprefix('Skipped: ')}"
        terminalreporter.write_line(text, red=True, bold=True)


@pytest.fixture(autouse=True)
def umask_is_kept() -> Iterator[None]:
    """A command that runs within the test must not change the rights of later tests' files."""
    yield
    after = os.umask(0o022)
    assert after == 0o022, f"the test left the umask {after:#o}"


@pytest.fixture(autouse=True)
def logging_is_reset() -> Iterator[None]:
    """A command that runs in this process starts logging to its standard error: undo it, or a later
    test captures no log records."""
    yield
    logger, root = logging.getLogger("sendroute"), logging.getLogger()
    for handler in logger.handlers:
        root.removeHandler(handler)
    logger.handlers = []
    logger.propagate = True
    logger.setLevel(logging.NOTSET)
    root.setLevel(logging.WARNING)
    logging.raiseExceptions = True


@pytest.fixture
def rewrite_cases(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--rewrite-cases"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server that the tests of this process share, because a start takes a second."""
    with Cluster() as started:
        yield started


@pytest.fixture
def postgres_url(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database."""
    name = cluster.create_database()
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL without a store, for each database."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/sendroute.db"
