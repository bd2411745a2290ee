"""README.md shows what the demonstration prints."""

import re
from pathlib import Path

import pytest

from .demo import story
from .programs import real_mail
from .sending import Sending

pytestmark = real_mail()

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_demonstration(
    sending: Sending, capsys: pytest.CaptureFixture[str]
) -> None:
    story(sending)
    blocks = re.findall(r"^```text\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out in blocks
