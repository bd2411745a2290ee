"""What every room's tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-cases",
        action="store_true",
        help="write the golden files anew; review every difference",
    )


@pytest.fixture
def rewrite_cases(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--rewrite-cases"))
