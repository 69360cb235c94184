"""A plot of hourly lines and bands in characters: lines in Braille dots, bands in shades, for any width and colour."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Console, ConsoleOptions
from rich.text import Text

from forecast_core.contracts.schema import HOUR

_ROWS: Final = 21
_STEP: Final = 5
"""Every fifth row has its value written beside it."""
# A Braille character is two dots wide and four high; the bit of each, by column and row (Unicode, block U+2800).
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK: Final = 0x2800


@dataclass(frozen=True)
class Line:
    """Values by hour, drawn as dots that join where hours follow each other."""

    name: str
    values: Mapping[datetime, float]
    style: str


@dataclass(frozen=True)
class Band:
    """What lies between two lines, drawn in one character."""

    name: str
    low: Mapping[datetime, float]
    high: Mapping[datetime, float]
    shade: str


@dataclass(frozen=True)
class Plot:
    """Lines above bands, the later above the earlier, as wide as the terminal."""

    lines: Sequence[Line]
    bands: Sequence[Band]
    unit: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Draw for the width at hand."""
        values = [value for each in self.lines for value in each.values.values()]
        values += [value for band in self.bands for side in (band.low, band.high) for value in side.values()]
        hours = [hour for each in self.lines for hour in each.values]
        low, high = _round_range(min(values), max(values))
        labels = [f"{high - (high - low) * row / (_ROWS - 1):,.0f}" for row in range(_ROWS)]
        margin = max(map(len, labels))
        canvas = _Canvas(options.max_width - margin - 2, min(hours), max(hours), low, high)
        for band in self.bands:
            canvas.shade(band)
        for line in self.lines:
            canvas.draw(line)
        for row, cells in enumerate(canvas.rows()):
            label = labels[row] if row % _STEP == 0 else ""
            yield Text(f"{label:>{margin}} ┤" if label else " " * margin + " │", style="dim") + cells
        yield Text(" " * (margin + 2) + canvas.days(), style="dim")
        yield self._legend(margin + 2)

    def _legend(self, indent: int) -> Text:
        legend = Text(" " * indent)
        for line in self.lines:
            legend.append("⠤⠤ ", line.style)
            legend.append(f"{line.name}  ")
        for band in reversed(self.bands):
            legend.append(f"{band.shade * 2} ", "blue")
            legend.append(f"{band.name}  ")
        legend.append(f"{self.unit}, UTC", "dim")
        return legend


def _round_range(low: float, high: float) -> tuple[float, float]:
    """Return a range around another one, so that the values written beside it are round.

    >>> _round_range(61785, 150411)
    (60000.0, 160000.0)
    """
    steps = (_ROWS - 1) // _STEP
    size = 10.0 ** math.floor(math.log10(max((high - low) / steps, 1e-9)))
    for size_of_step in (size * factor for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20)):
        bottom = math.floor(low / size_of_step) * size_of_step
        if bottom + steps * size_of_step >= high:
            return bottom, bottom + steps * size_of_step
    return low, high


class _Canvas:
    """Cells of dots and shades, and where an hour and a value are among them."""

    def __init__(self, width: int, first: datetime, last: datetime, low: float, high: float) -> None:
        self._width, self._first, self._last, self._low = width, first, last, low
        self._seconds = max((last - first).total_seconds(), 1.0)
        self._span = (high - low) or 1.0
        self._dots = [[0] * width for _ in range(_ROWS)]
        self._styles = [[""] * width for _ in range(_ROWS)]
        self._shades = [[" "] * width for _ in range(_ROWS)]

    def draw(self, line: Line) -> None:
        for hour, value in sorted(line.values.items()):
            after = line.values.get(hour + HOUR, value)
            begin, end = self._column(hour), self._column(hour + HOUR if hour + HOUR in line.values else hour)
            heights = [
                self._height(value + (after - value) * (column - begin) / max(end - begin, 1))
                for column in range(begin, end + 1)
            ]
            for column, (height, following) in enumerate(zip(heights, [*heights[1:], heights[-1]], strict=True), begin):
                # Upright between one column of dots and the next, so that a steep line has no holes.
                for dot in range(min(height, following), max(height, following) + (height == following)):
                    self._set(column, dot, line.style)

    def shade(self, band: Band) -> None:
        hours = sorted(band.low)
        for cell in range(self._width):
            at = self._first + (self._last - self._first) * (cell + 0.5) / self._width
            if not hours[0] <= at <= hours[-1] + HOUR / 2:
                continue
            hour = min(hours, key=lambda each, at=at: abs(each - at))  # type: ignore[misc]
            top, bottom = self._height(band.high[hour]) // 4, self._height(band.low[hour]) // 4
            for row in range(top, bottom + 1):
                self._shades[row][cell] = band.shade

    def rows(self) -> Iterator[Text]:
        for dots, styles, shades in zip(self._dots, self._styles, self._shades, strict=True):
            row = Text()
            for dot, style, shade in zip(dots, styles, shades, strict=True):
                row.append(chr(_BLANK + dot) if dot else shade, style if dot else "blue")
            yield row

    def days(self) -> str:
        """The names of the days, each where its midnight is."""
        text = ""
        midnight = self._first.replace(hour=0)
        while midnight <= self._last:
            at = self._column(midnight) // 2
            if midnight >= self._first and at >= len(text) and at + 6 <= self._width:
                text = f"{text:<{at}}{midnight:%a %d} "
            midnight += 24 * HOUR
        return text

    def _column(self, hour: datetime) -> int:
        return round((hour - self._first).total_seconds() / self._seconds * (2 * self._width - 1))

    def _height(self, value: float) -> int:
        return round((1 - (value - self._low) / self._span) * (4 * _ROWS - 1))

    def _set(self, column: int, height: int, style: str) -> None:
        row, cell = height // 4, column // 2
        self._dots[row][cell] |= _DOTS[column % 2][height % 4]
        self._styles[row][cell] = style
