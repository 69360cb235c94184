"""The forecasts of one series for a terminal: a plot and a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app_shell.forecast import ForecastHour, Observed, SeriesForecast
from app_shell.plot import Band, Line, Plot
from app_shell.terminal import Widest
from forecast_core import reruns
from forecast_core.contracts.window import as_utc

_LOCAL: Final = ZoneInfo("Europe/Copenhagen")
_LARGE: Final = 1_000_000
"""From this many kWh on, a table is in MWh: eight columns of more digits do not fit 80 characters."""

Column = Literal["energy_consumption", "q05", "q10", "q90", "q95"]
ALL: Final[tuple[Column, ...]] = ("q05", "q10", "energy_consumption", "q90", "q95")
HEADINGS: Final[dict[Column, str]] = {
    "q05": "5 %",
    "q10": "10 %",
    "energy_consumption": "forecast",
    "q90": "90 %",
    "q95": "95 %",
}


def drawn(facts: SeriesForecast) -> Group:
    """Return a plot and a table of what ``forecast.of_series`` returned."""
    title = Text.assemble(
        (f"{facts['area']} / {facts['consumer_type']}", "bold"),
        f"  made at {facts['reference_datetime']} UTC, model version {facts['model_version']}",
    )
    few: tuple[Column, ...] = ("energy_consumption",)
    tables = [_table(facts, ALL, danish=True), _table(facts, ALL[1:4], danish=True), _table(facts, few, danish=False)]
    count, at = facts["not_taken"], datetime.fromisoformat(facts["reference_datetime"])
    notes = [Text(reruns.told(count, at), style="yellow")] if count else []
    return Group(title, *notes, _plot(facts), "", Widest(tables))


def _plot(facts: SeriesForecast) -> Plot:
    rows = facts["forecasts"]
    hours = [_time(row) for row in rows]
    begins = hours[0]
    observed = {_time(row): row["energy_consumption"] for row in facts["observations"]}
    before = {hour: value for hour, value in observed.items() if hour < begins}
    since = {hour: value for hour, value in observed.items() if hour >= begins}
    lines = [Line("observed", before, ""), Line("forecast", _values(rows, "energy_consumption"), "bold bright_blue")]
    if since:
        lines.insert(1, Line("what came", since, "yellow"))
    bands = [
        Band("90 %", _values(rows, "q05"), _values(rows, "q95"), "░"),
        Band("80 %", _values(rows, "q10"), _values(rows, "q90"), "▒"),
    ]
    return Plot(lines, bands, unit=facts["unit"])


def _values(rows: Sequence[ForecastHour], column: Column) -> dict[datetime, float]:
    return {_time(row): row[column] for row in rows}


def _time(row: Observed) -> datetime:
    return as_utc(datetime.fromisoformat(row["datetime_utc"]))


def _table(facts: SeriesForecast, columns: Sequence[Column], *, danish: bool) -> Table:
    """Return the table of some columns: in a narrow terminal few columns are better than cut numbers."""
    observed = {row["datetime_utc"]: row["energy_consumption"] for row in facts["observations"]}
    came = any(row["datetime_utc"] in observed for row in facts["forecasts"])
    large = max(row["q95"] for row in facts["forecasts"]) >= _LARGE
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), caption_justify="left")
    for heading in ("hour (UTC)", *(["Danish"] if danish else [])):
        table.add_column(heading, no_wrap=True)
    for heading in (*(HEADINGS[each] for each in columns), *(["came"] if came else [])):
        table.add_column(heading, justify="right", style="bold" if heading == "forecast" else None, no_wrap=True)
    for row in facts["forecasts"]:
        numbers = [row[each] for each in columns]
        last = [observed.get(row["datetime_utc"])] if came else []
        hour = _time(row)
        shown = [_number(number, large=large) for number in [*numbers, *last]]
        local = [f"{hour.astimezone(_LOCAL):%H:%M}"] if danish else []
        table.add_row(f"{hour:%m-%d %H:%M}", *local, *shown)
    qualities = dict.fromkeys(row["quality"] for row in facts["forecasts"] if row["quality"] != "model")
    hidden = [] if len(columns) == len(ALL) else ["a wider terminal shows more columns"]
    table.caption = "; ".join(["MWh" if large else facts["unit"], *(f"quality: {each}" for each in qualities), *hidden])
    return table


def _number(kwh: float | None, *, large: bool) -> str:
    return "" if kwh is None else f"{kwh / 1000:,.1f}" if large else f"{kwh:,.0f}"
