import pytest

from sendroute.model.numerals import decimal


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("00587", 587), ("65535", 65535), ("0" * 9000 + "25", 25)],
)
def test_digits_are_a_number(text: str, number: int) -> None:
    assert decimal(text, 65535) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1_0", "1.0", "٥", "²", "65536", "9" * 9000]
)
def test_anything_else_is_none(text: str) -> None:
    assert decimal(text, 65535) is None
