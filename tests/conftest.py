"""Options that all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-cases",
        action="store_true",
        help="write what the cases under tests/cases now give as what they must give",
    )


@pytest.fixture
def rewrite_cases(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--rewrite-cases"))
