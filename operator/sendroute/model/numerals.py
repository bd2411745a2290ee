"""Numbers from untrusted text."""


def decimal(text: str, most: int) -> int | None:
    """Read a whole number.

    Args:
        text: what should be ASCII digits, of any length.
        most: the greatest number that has a meaning.

    Returns:
        The number, from 0 to ``most``; None for anything else. Unlike ``int``, it accepts no sign,
        space, underscore or other script's digits, and it never raises: Python refuses to convert
        more than some thousands of digits.
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None
