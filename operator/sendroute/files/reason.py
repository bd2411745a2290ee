"""Says why an operation on a file failed."""


def reason_of(error: OSError) -> str:
    """Return the system's words, to continue a sentence: "no space left on device".

    Args:
        error: what an operation on a file raised.

    Returns:
        The words, without a capital at their start; "input/output error" if the error has none.
    """
    reason = error.strerror or "input/output error"
    return f"{reason[:1].lower()}{reason[1:]}"
