"""Numbers and lists in messages."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; what is left out of the end is marked by an ellipsis.

    >>> shortened("a long message", 7)
    'a long…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
