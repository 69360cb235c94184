"""How values are shown: time zone, unit and colours, as the user chose them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

Unit = Literal["kWh", "MWh", "GWh"]
PER_KWH: Final[dict[Unit, float]] = {"kWh": 1.0, "MWh": 1e-3, "GWh": 1e-6}
DECIMALS: Final[dict[Unit, int]] = {"kWh": 0, "MWh": 2, "GWh": 4}
NOTHING: Final = "—"
DANISH: Final = "Europe/Copenhagen"
ZONES: Final = {"Danish time": DANISH, "UTC": "UTC"}


@dataclass(frozen=True)
class Palette:
    """Colours that the colour-blind can tell apart (Okabe and Ito, 2008), and tints of them, on one background."""

    ink: str
    quiet: str
    grid: str
    blue: str
    blue_80: str
    blue_90: str
    orange: str
    green: str
    red: str
    low: str
    middle: str
    high: str


LIGHT: Final = Palette(
    ink="#1b1f24",
    quiet="#6b7280",
    grid="#e5e7eb",
    blue="#0072B2",
    blue_80="#9ccbe8",
    blue_90="#d3e8f5",
    orange="#D55E00",
    green="#009E73",
    red="#D55E00",
    low="#0072B2",
    middle="#f5f5f4",
    high="#D55E00",
)
DARK: Final = Palette(
    ink="#f3f4f6",
    quiet="#9ca3af",
    grid="#2d333b",
    blue="#56B4E9",
    blue_80="#245f86",
    blue_90="#173a52",
    orange="#E69F00",
    green="#2bc79a",
    red="#E69F00",
    low="#56B4E9",
    middle="#20252c",
    high="#E69F00",
)


@dataclass(frozen=True)
class Display:
    """What the user chose: ``zone`` is a name of the time zone database, values of the API are in kWh."""

    zone: str = DANISH
    unit: Unit = "kWh"
    dark: bool = False

    @property
    def palette(self) -> Palette:
        """Colours for the background."""
        return DARK if self.dark else LIGHT

    @property
    def zone_title(self) -> str:
        """What the time zone is called on a page."""
        return next(title for title, zone in ZONES.items() if zone == self.zone)

    def local(self, moment: datetime) -> datetime:
        """Return a moment in the chosen zone."""
        return moment.astimezone(ZoneInfo(self.zone))

    def when(self, moment: datetime) -> str:
        """Return a moment as text.

        >>> from datetime import UTC
        >>> Display().when(datetime(2024, 3, 31, 5, tzinfo=UTC))
        'Sun 31 Mar 2024 07:00'
        """
        return f"{self.local(moment):%a %d %b %Y %H:%M}"

    def energy(self, kwh: float | None, *, with_unit: bool = True) -> str:
        """Return an energy as text in the chosen unit.

        >>> Display(unit="MWh").energy(96260.5)
        '96.26 MWh'
        """
        if kwh is None:
            return NOTHING
        text = f"{kwh * PER_KWH[self.unit]:,.{DECIMALS[self.unit]}f}"
        return f"{text} {self.unit}" if with_unit else text

    def in_unit(self, frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
        """Return a frame with columns of kWh in the chosen unit."""
        return frame.with_columns(pl.col(*columns) * PER_KWH[self.unit])

    def rounded(self, frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
        """Return a frame with columns of kWh in the chosen unit, with the digits that a table shows."""
        return self.in_unit(frame, *columns).with_columns(pl.col(*columns).round(DECIMALS[self.unit]))

    def with_when(self, frame: pl.DataFrame, column: str = "datetime_utc", *, name: str = "when") -> pl.DataFrame:
        """Return a frame with a column that has a time as text."""
        local = pl.col(column).dt.convert_time_zone(self.zone)
        return frame.with_columns(local.dt.strftime("%a %d %b %H:%M").alias(name))


def percent(share: float | None, decimals: int = 1) -> str:
    """Return a share as text.

    >>> percent(0.0712)
    '7.1 %'
    """
    return NOTHING if share is None else f"{share * 100:.{decimals}f} %"


def lasting(seconds: float | None) -> str:
    """Return a length of time as text.

    >>> lasting(41.53), lasting(200)
    ('41.5 s', '3 min 20 s')
    """
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def parsed(text: str) -> datetime:
    """Return a time of the API, as text, as a moment."""
    return datetime.fromisoformat(text)
