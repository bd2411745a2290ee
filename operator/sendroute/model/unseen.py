"""Characters that a reader does not see, although Python calls them printable.

They are those of Unicode's property Default_Ignorable_Code_Point that are letters or marks
(DerivedCoreProperties.txt): fillers, variation selectors, vowels that are not written. The blank of
Braille (U+2800) looks like a space too.
"""

import re

PATTERN = (
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0"
    r"\U000e0100-\U000e01ef]"
    # Behind a symbol, this selector asks for its picture: ⚠️. Elsewhere nobody sees it.
    r"|(?<![\xa9\xae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f"
)
"""As a regular expression."""
UNSEEN = re.compile(PATTERN)


def is_seen(text: str) -> bool:
    """Whether a reader sees every character of ``text``, or the space that it takes."""
    return text.isprintable() and (text.isascii() or UNSEEN.search(text) is None)
