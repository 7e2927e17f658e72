"""What a name may look like. Names are text in the database and never part of a path."""

import unicodedata

from trainwright.base.bounds import excerpt
from trainwright.base.errors import SpecError

MAX_BYTES = 200
# Letters of other scripts that nobody can tell from the Latin ones below them.
_TWINS = dict(
    zip(
        "АВЕКМНОРСТУХЅІЈаеорсухѕіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",  # noqa: RUF001
        "ABEKMHOPCTYXSIJaeopcyxsijhdqwABEZHIKMNOPTYXo",
        strict=True,
    )
)
# Letters and marks that are not drawn, although Unicode does not count them among the format characters.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def check_name(name: str, *, what: str = "name") -> str:
    """Returns the name if it is safe and unambiguous.

    Raises:
        SpecError: If it is not in Unicode form NFC, not 1 to 200 bytes, or holds a control or format character,
            surrounding space, `..`, `@`, `:`, a leading `-`, or a letter that looks like another one.

    Example:
        >>> check_name("mnist1d-cnn")
        'mnist1d-cnn'
        >>> check_name("a@b")
        Traceback (most recent call last):
        trainwright.base.errors.SpecError: name 'a@b': `@` is not allowed; use letters, digits, `-`, `_`, `.` or `/`
    """
    fault = _fault(name) if isinstance(name, str) else "it is no text"
    if fault:
        raise SpecError(
            f"{what} {excerpt(name, letters=MAX_BYTES)}: {fault}; use letters, digits, `-`, `_`, `.` or `/`"
        )
    return name


def check_tag(tag: str) -> str:
    """Returns the tag if it is a safe name that cannot be taken for a version number.

    Raises:
        SpecError: If `check_name` refuses it, it is all digits, or it holds `=`.

    Example:
        >>> check_tag("7")
        Traceback (most recent call last):
        trainwright.base.errors.SpecError: tag '7': all digits would be taken for a version number
    """
    check_name(tag, what="tag")
    if tag.isdigit():
        raise SpecError(f"tag {tag!r}: all digits would be taken for a version number")
    if "=" in tag:
        raise SpecError(f"tag {tag!r}: `=` is not allowed")
    return tag


def _fault(name: str) -> str | None:
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it holds a lone surrogate"
    if not 1 <= size <= MAX_BYTES:
        return f"it has {size} bytes, 1 to {MAX_BYTES} are allowed"
    if unicodedata.normalize("NFC", name) != name:
        return "it is not in Unicode form NFC"
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for letter in name):
        return "it holds a control or format character"
    if any(letter in _INVISIBLE for letter in name):
        return "it holds a letter that is not drawn"
    if name != name.strip():
        return "it begins or ends with a space"
    twin = _twin(name)
    if twin:
        return twin
    for forbidden in ("..", "@", ":"):
        if forbidden in name:
            return f"`{forbidden}` is not allowed"
    return "a leading `-` is not allowed" if name.startswith("-") else None


def _twin(name: str) -> str | None:
    """Says which letter of a name looks like another one, so that two names would look the same."""
    latin = any(letter.isascii() and letter.isalpha() for letter in name)
    for letter in name:
        same = "" if letter.isascii() else unicodedata.normalize("NFKC", letter)
        if latin and letter in _TWINS:
            same = _TWINS[letter]
        if any(one.isascii() and not one.isdigit() for one in same):
            return f"{letter!r} ({unicodedata.name(letter, 'a letter')}) looks like {same!r}"
    return None
