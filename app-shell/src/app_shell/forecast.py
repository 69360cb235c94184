"""The forecasts of one series as they stand in the archive, beside what was observed: facts, table and plot."""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app_shell.plot import Band, Line, Plot
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import HOUR, QUANTILES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, as_utc
from forecast_core.feature_store import FeatureStore

_INSTANT: Final = timedelta(microseconds=1)
_LOCAL: Final = ZoneInfo("Europe/Copenhagen")
_NAMED: Final = 12
_LARGE: Final = 1_000_000
"""From this many kWh on, a table is in MWh, to fit a terminal."""


def of_series(
    settings: Settings,
    area: str,
    consumer_type: str,
    *,
    reference: datetime | None,
    feature_view_version: int | None,
    days: int,
    known_at: datetime,
) -> dict[str, Any]:
    """Return the forecasts of a series as made at a reference time, and its observations around them.

    Args:
        settings: Where the archive and the store are.
        area: Price area.
        consumer_type: Consumer type.
        reference: When the forecasts were made; None for the newest run.
        feature_view_version: The view that they were made with; None for the last of those that have a run then.
        days: Days of observations before the first forecast.
        known_at: Observations are as known at this time.

    Returns:
        Plain JSON; times are text in UTC, energy is in kWh.

    Raises:
        NotFoundError: If there is no such run or series; the message says what there is.
        StorageError: If the stores cannot be read now.
    """
    run = find_run(settings, reference, feature_view_version)
    forecasts = _series(forecasts_of(settings, run), area, consumer_type)
    observed = _observed(settings, forecasts, run, days=days, known_at=known_at)
    numbers = ["datetime_utc", "energy_consumption", *QUANTILES, "quality"]
    return {
        "area": area,
        "consumer_type": consumer_type,
        "unit": "kWh",
        "reference_datetime": f"{run['reference_datetime']:{DATETIME_FORMAT}}",
        **{name: run[name] for name in ("feature_view_version", "training_dataset_version", "model_version")},
        "forecasts": _plain(forecasts.select(numbers)),
        "observations": _plain(observed.select("datetime_utc", "energy_consumption")),
    }


def find_run(settings: Settings, reference: datetime | None, version: int | None) -> dict[str, Any]:
    """Return the facts (RUNS) of the run at a reference time, of a view if that is given; None stands for the newest.

    Raises:
        NotFoundError: If there is none; the message says which there are.
    """
    runs = ForecastArchive(settings).read_runs(feature_view_version=version)
    wanted = runs if reference is None else runs.filter(pl.col("reference_datetime") == reference)
    if wanted.is_empty():
        of_view = "" if version is None else f" with feature view {version}"
        if runs.is_empty():
            raise NotFoundError(f"there are no forecasts{of_view} in {settings.store} yet: make some by `energy run`")
        newest = runs["reference_datetime"].unique().sort(descending=True).head(_NAMED).dt.strftime(DATETIME_FORMAT)
        raise NotFoundError(
            f"no forecasts{of_view} were made at {reference:{DATETIME_FORMAT}} UTC; the newest were at "
            f"{', '.join(newest)}: give one of those with --reference, or run `energy run --reference …` for that hour"
        )
    return wanted.sort("reference_datetime", "feature_view_version").row(-1, named=True)


def forecasts_of(settings: Settings, run: dict[str, Any]) -> pl.DataFrame:
    """Return FORECASTS of a run, by the hour that is forecast."""
    made_at = run["reference_datetime"]
    rows = ForecastArchive(settings).read(
        feature_view_version=run["feature_view_version"], reference_from=made_at, reference_until=made_at + _INSTANT
    )
    return rows.sort("datetime_utc")


def _series(rows: pl.DataFrame, area: str, consumer_type: str) -> pl.DataFrame:
    found = rows.filter(pl.col("area") == area, pl.col("consumer_type") == consumer_type)
    if not found.is_empty():
        return found
    areas = rows["area"].unique().sort().to_list()
    if area not in areas:
        raise NotFoundError(f"there is no price area {area!r}; there are {', '.join(areas)}", area=area)
    types = rows.filter(pl.col("area") == area)["consumer_type"].unique().sort().to_list()
    raise NotFoundError(
        f"{area} has no consumer type {consumer_type!r}; it has {', '.join(types)}", consumer_type=consumer_type
    )


def _observed(
    settings: Settings, forecasts: pl.DataFrame, run: dict[str, Any], *, days: int, known_at: datetime
) -> pl.DataFrame:
    store = FeatureStore(settings)
    view = store.feature_view(run["feature_view_version"])
    hours: list[datetime] = forecasts["datetime_utc"].to_list()
    return store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=Window(min(hours[0], run["window_end"]) - timedelta(days=days), hours[-1] + HOUR),
        reference_datetime=known_at,
        series=[forecasts.select("area", "consumer_type").row(0)],
    )


def _plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return rows.with_columns(pl.col("datetime_utc").dt.strftime(DATETIME_FORMAT)).to_dicts()


def drawn(facts: dict[str, Any]) -> Group:
    """Return the plot and the table of what ``of_series`` returned."""
    title = Text.assemble(
        (f"{facts['area']} / {facts['consumer_type']}", "bold"),
        f"  made at {facts['reference_datetime']} UTC, model version {facts['model_version']}",
    )
    return Group(title, _plot(facts), "", _table(facts))


def _plot(facts: dict[str, Any]) -> Plot:
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


def _values(rows: list[dict[str, Any]], column: str) -> dict[datetime, float]:
    return {_time(row): row[column] for row in rows}


def _time(row: dict[str, Any]) -> datetime:
    return as_utc(datetime.fromisoformat(row["datetime_utc"]))


def _table(facts: dict[str, Any]) -> Table:
    observed = {row["datetime_utc"]: row["energy_consumption"] for row in facts["observations"]}
    came = any(row["datetime_utc"] in observed for row in facts["forecasts"])
    large = max(row["q95"] for row in facts["forecasts"]) >= _LARGE
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), caption_justify="left")
    for heading in ("hour (UTC)", "Danish"):
        table.add_column(heading)
    for heading in ("5 %", "10 %", "forecast", "90 %", "95 %", *(["came"] if came else [])):
        table.add_column(heading, justify="right", style="bold" if heading == "forecast" else None)
    for row in facts["forecasts"]:
        numbers = [row[name] for name in ("q05", "q10", "energy_consumption", "q90", "q95")]
        last = [observed.get(row["datetime_utc"])] if came else []
        hour = _time(row)
        shown = [_number(number, large=large) for number in [*numbers, *last]]
        table.add_row(f"{hour:%m-%d %H:%M}", f"{hour.astimezone(_LOCAL):%H:%M}", *shown)
    qualities = dict.fromkeys(row["quality"] for row in facts["forecasts"] if row["quality"] != "model")
    table.caption = "; ".join(["MWh" if large else facts["unit"], *(f"quality: {each}" for each in qualities)])
    return table


def _number(kwh: float | None, *, large: bool) -> str:
    return "" if kwh is None else f"{kwh / 1000:,.1f}" if large else f"{kwh:,.0f}"
