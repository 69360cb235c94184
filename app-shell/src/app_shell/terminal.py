"""How results are written: for terminals of any width and encoding, and for pipes."""

import codecs
import io
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_ERRORS: Final = "energy-nearest"
_NEAREST: Final = {
    "✓": "+",
    "✗": "x",
    "…": ".",
    "░": ".",
    "▒": ":",
    "▓": "#",
    "█": "#",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "·": ".",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": '"',
    "”": '"',
    "ø": "o",
    "Ø": "O",
    "æ": "a",
    "Æ": "A",
}
_BRAILLE: Final = range(0x2800, 0x2900)
_BOXES: Final = range(0x2500, 0x2580)


def nearest(text: str) -> str:
    """Return ASCII of the same length that looks like a text, so that columns stay where they are.

    >>> nearest("⠒▒ │Ærø… 5 ✓")
    '*: -Aro. 5 +'
    """
    return "".join(_of_one(character) for character in text)


def _of_one(character: str) -> str:
    if character.isascii():
        return character
    if ord(character) in _BRAILLE:
        return "*"
    if ord(character) in _BOXES:
        return "-"
    plain = unicodedata.normalize("NFKD", character)[0]
    return _NEAREST.get(character, plain if plain.isascii() else "?")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return nearest(error.object[error.start : error.end]), error.end


def write_in_any_encoding() -> None:
    """Let stdout and stderr write what is nearest in ASCII for what their encoding lacks, instead of failing."""
    codecs.register_error(_ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def show(drawn: "RenderableType") -> None:
    """Print to stdout: to a terminal as wide as it is; to a pipe or a file without padding and colours."""
    from rich.console import Console

    # Plain text is not wrapped: it has hashes and paths that people copy.
    soft = isinstance(drawn, str)
    if sys.stdout.isatty():
        Console(highlight=False, markup=False).print(drawn, soft_wrap=soft)
        return
    buffer = io.StringIO()
    # The width and the box characters are those of the real output.
    width = Console(file=sys.stdout).width
    Console(file=buffer, width=width, highlight=False, markup=False, no_color=True).print(drawn, soft_wrap=soft)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()))


class Widest:
    """The first of some drawings that fits the width; the last one if none does."""

    def __init__(self, drawings: "Sequence[RenderableType]") -> None:
        self._drawings = drawings

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Draw it."""
        from rich.measure import Measurement

        unbounded = options.update(width=10_000)
        for drawing in self._drawings[:-1]:
            if Measurement.get(console, unbounded, drawing).maximum <= options.max_width:
                yield drawing
                return
        yield self._drawings[-1]
