"""Numbers in text: which mark stands before decimals and which between thousands, judged by a whole column.

``467.335`` may be 467 and a third, or half a million. A column shows which: by a value that only one of the two
readings allows (``2451.203``, ``0.5``, ``12,5``, ``1.234,5``, ``1.467.335``). Where no value does, ``Notation.decimal``
is None, and the numbers must not be guessed.
"""

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Mark = Literal[".", ","]

_SIGN: Final = r"^[+-]?"
_EXPONENT: Final = r"(?:[eE][+-]?[0-9]+)?$"
_HEAD: Final = r"[1-9][0-9]{0,2}"
"""The digits before the first mark between thousands."""
_MINUS: Final = "\u2212"
_SPACED: Final = rf"{_SIGN}{_HEAD}(?:[\s'\u2019][0-9]{{3}})+(?:[.,][0-9]*)?$"
_SPACES: Final = r"[\s'\u2019]"
_MARKED: Final = r"[.,\s'\u2019\u2212]"


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers.

    Attributes:
        decimal: The mark before decimals; None where each value allows both readings.
        grouped: Whether the other mark alone separates thousands, as in ``1,234`` of a column with ``1,234.5``.
    """

    decimal: Mark | None
    grouped: bool = False


POINT: Final = Notation(".")
"""How JSON and Python write numbers."""


def judge(values: pl.Series) -> Notation:
    """Return how a column of text writes its numbers.

    >>> judge(pl.Series(["467.335", "2451.203"]))
    Notation(decimal='.', grouped=False)
    >>> judge(pl.Series(["1.467.335", "2.451"]))
    Notation(decimal=',', grouped=True)
    >>> judge(pl.Series(["467.335", "2.451", "867"]))
    Notation(decimal=None, grouped=False)
    """
    text = values.drop_nulls()
    text = text.filter(text.str.contains(_MARKED))
    if text.is_empty():
        return POINT
    bare = _without_spaces(text)
    spaced = bool((bare != text.str.strip_chars()).any())
    marks: tuple[Mark, Mark] = (".", ",")
    single = {mark: _matching(bare, f"{_SIGN}{_HEAD}{_re(mark)}[0-9]{{3}}$") for mark in marks}
    score = dict.fromkeys(marks, 0)
    grouped = dict.fromkeys(marks, 0)
    for mark in marks:
        other = _other(mark)
        plain = _matching(bare, f"{_SIGN}(?:[0-9]+{_re(mark)}[0-9]*|{_re(mark)}[0-9]+){_EXPONENT}") - single[mark]
        both = _matching(bare, f"{_SIGN}{_HEAD}(?:{_re(other)}[0-9]{{3}})+{_re(mark)}[0-9]*$")
        many = _matching(bare, f"{_SIGN}{_HEAD}(?:{_re(other)}[0-9]{{3}}){{2,}}$")
        score[mark] = plain + both + many
        grouped[other] = both + many
    if not any(score.values()):
        if spaced and sum(count > 0 for count in single.values()) == 1:
            # Spaces separate the thousands, so the only other mark stands before decimals.
            return Notation("." if single["."] else ",")
        return Notation(None) if any(single.values()) else POINT
    decimal: Mark = "." if score["."] >= score[","] else ","
    # A column that separates thousands does so in all of them.
    ungrouped = _matching(values.drop_nulls(), f"{_SIGN}[0-9]{{4,}}(?:{_re(decimal)}[0-9]*)?$")
    return Notation(decimal, grouped=grouped[_other(decimal)] > ungrouped)


def ambiguous(values: pl.Series) -> pl.Series:
    """Return which values have one mark that may stand before decimals or between thousands, such as ``467.335``."""
    return _without_spaces(values).str.contains(f"{_SIGN}{_HEAD}[.,][0-9]{{3}}$").fill_null(value=False)


def numbers(values: pl.Series, notation: Notation) -> pl.Series:
    """Return the numbers as Float64; null where the text is not a finite number in this notation.

    >>> numbers(pl.Series(["1.234,5", "1 234,5", "12,5", "1.234", "12.5"]), Notation(",")).to_list()
    [1234.5, 1234.5, 12.5, None, None]
    >>> numbers(pl.Series(["1,234", "1'234.5", "-2e3"]), Notation(".", grouped=True)).to_list()
    [1234.0, 1234.5, -2000.0]
    """
    decimal: Mark = notation.decimal or "."
    group = _other(decimal)
    bare = _without_spaces(values)
    separated = f"{_SIGN}{_HEAD}(?:{_re(group)}[0-9]{{3}})+"
    sure = f"(?:{separated}{_re(decimal)}[0-9]*$|{_SIGN}{_HEAD}(?:{_re(group)}[0-9]{{3}}){{2,}}$)"
    is_separated = bare.str.contains(f"{separated}$" if notation.grouped else sure) | bare.str.contains(sure)
    bare = bare.set(bare.str.contains(group, literal=True) & ~is_separated, None)
    plain = bare.str.replace_all(group, "", literal=True).str.replace(decimal, ".", literal=True)
    found = plain.cast(pl.Float64, strict=False)
    return found.set(~found.is_finite(), None)


def _without_spaces(values: pl.Series) -> pl.Series:
    """Remove spaces and apostrophes that separate thousands; elsewhere they stay and make the text no number."""
    text = values.str.strip_chars().str.replace(_MINUS, "-", literal=True)
    spaced = text.str.contains(_SPACED).fill_null(value=False)
    if not spaced.any():
        return text
    return text.zip_with(~spaced, text.str.replace_all(_SPACES, ""))


def _matching(values: pl.Series, pattern: str) -> int:
    return int(values.str.contains(pattern).sum())


def _other(mark: Mark) -> Mark:
    return "," if mark == "." else "."


def _re(mark: Mark) -> str:
    return rf"\{mark}"
