"""How large content may become on reading, and how much of it a message shows."""

import unicodedata

UNFOLD_BYTES = 2**27  # so much is read whatever the file's own size
UNFOLD_TIMES = 250  # real data of that size is never packed so tightly: text 5 times, sparse counts 50 times
MAX_LETTERS = 80
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of letters that steer a terminal or hide


def unfolds_too_far(claimed: int, stored: int) -> bool:
    """Says whether content claims to be so much larger than its file that it is made to fill the memory.

    Args:
        claimed: Bytes it will take in memory.
        stored: Bytes it takes in its file.

    Example:
        >>> unfolds_too_far(10**6, 10), unfolds_too_far(10**9, 10**8), unfolds_too_far(10**9, 10**6)
        (False, False, True)
    """
    return claimed > UNFOLD_BYTES and claimed > UNFOLD_TIMES * stored


def excerpt(text: object, *, letters: int = MAX_LETTERS) -> str:
    """Quotes the beginning of a text for a message.

    Example:
        >>> excerpt("a" * 10, letters=3), excerpt("a\\x1b[31m")
        ("'aaa...'", "'a\\\\x1b[31m'")
    """
    found = text if isinstance(text, str) else str(text)
    return repr(found if len(found) <= letters else f"{found[:letters]}...")


def visible(text: str) -> str:
    """Writes letters that steer a terminal, hide or turn the order of others as their escapes.

    Line breaks and tabs stay.

    Example:
        >>> visible("a\\x1b[31m, b\\u202ec")
        'a\\\\x1b[31m, b\\\\u202ec'
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in _HIDDEN
        else ascii(letter)[1:-1]  # no codec, which would be imported: names are checked in a jail, too
        for letter in text
    )
