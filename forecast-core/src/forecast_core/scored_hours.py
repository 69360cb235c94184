"""Sums of the scores of each observed hour, so that monitoring computes the hours that changed and no others.

The table is a cache. An hour's row of level ``hour`` has a fingerprint of everything that its sums follow from; whoever
finds another fingerprint computes the hour anew and replaces its rows. So the order of evaluations does not matter, and
the table may be deleted at any time.
"""

from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.contracts.schema import FORECASTS, KEY, RUNS, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc
from forecast_core.tables import checks
from forecast_core.tables.declaration import dated
from forecast_core.tables.delta import Change, Snapshot

SUMS: Final = {
    "n": "number of forecasts whose value is plausible; all other sums are over these",
    "error": "sum of abs(forecast - value), kWh",
    "size": "sum of abs(value), kWh",
    "signed": "sum of forecast - value, kWh",
    "share": "sum of abs(forecast - value) / value over positive values",
    "positive": "number of positive values",
    "naive_n": "number of forecasts that have a naive forecast",
    "naive_error": "sum of abs(naive - value), kWh",
    "naive_size": "sum of abs(value) where there is a naive forecast, kWh",
    "naive_share": "sum of abs(naive - value) / value over positive values",
    "naive_positive": "number of positive values that have a naive forecast",
    "compared_error": "sum of abs(forecast - value) where there is a naive forecast, kWh",
    "inside_80": "number of values inside the 80 % interval",
    "inside_90": "number of values inside the 90 % interval",
    "fallbacks": "number of forecasts that did not come from the model",
    "implausible": "number of forecasts that are not scored, because their value is an error code",
}
"""The sums over forecasts from which all figures follow, with their meaning."""

HOUR_LEVEL, SERIES_LEVEL, RUN_LEVEL, START_LEVEL = "hour", "series", "run", "start"

SCORED_HOURS: Final = Frame(
    {
        "feature_view_version": pl.Int64(),
        "level": pl.String(),
        **{name: FORECASTS[name] for name in ("datetime_utc", "area", "consumer_type", "reference_datetime")},
        "lead": pl.Int64(),
        "model_version": pl.Int64(),
        "forecasts_hash": pl.String(),
        "fingerprint": pl.String(),
        **dict.fromkeys(SUMS, pl.Float64()),
    },
    key=("feature_view_version", "level", *KEY, "reference_datetime", "forecasts_hash"),
    nullable=(
        *("area", "consumer_type", "reference_datetime", "lead", "model_version", "forecasts_hash", "fingerprint"),
        *SUMS,
    ),
    meaning={
        **meaning("feature_view_version", "reference_datetime", "model_version"),
        "level": "``hour`` (its fingerprint), ``series`` or ``run`` (sums of the hour), or ``start`` (of a run)",
        "datetime_utc": "start of the hour that was forecast, UTC; at level ``start`` the first hour of the run",
        "area": "price area, at level ``series``",
        "consumer_type": "code of the consumer type, at level ``series``",
        "lead": "1 for the first hour of a forecast, at level ``run``",
        "forecasts_hash": RUNS.meaning["forecasts_hash"] + ", at level ``start``: the archived ones have it",
        "fingerprint": "digest of all that the hour's sums follow from, at level ``hour``",
        **SUMS,
    },
)
"""The sums of one hour by series and by run, what they follow from, and where the hours of a run begin."""

_DATE: Final = "date"
_TABLE = dated("scored_hours", SCORED_HOURS, by="datetime_utc", date_column=_DATE)

TABLES: Final = (_TABLE,)
"""The table of scored hours."""


class ScoredHours:
    """The Delta table ``scored_hours`` under ``settings.store``; methods raise ``StorageError`` if it fails now."""

    def __init__(self, settings: Settings) -> None:
        self._table = _TABLE.table(settings)

    def read(self, *, feature_view_version: int, starts_from: datetime, hours_from: datetime) -> pl.DataFrame:
        """Return SCORED_HOURS of a feature view, in no order.

        Args:
            feature_view_version: The feature view.
            starts_from: First hour of level ``start`` to return.
            hours_from: First hour of the other levels to return.
        """
        hour, first = pl.col("datetime_utc"), min(as_utc(starts_from), as_utc(hours_from))
        wanted = pl.when(pl.col("level") == START_LEVEL).then(hour >= starts_from).otherwise(hour >= hours_from)
        own = [pl.col(_DATE) >= first.date(), pl.col("feature_view_version") == feature_view_version]
        return self._table.collect(lambda rows: rows.filter(*own, wanted).select(SCORED_HOURS.names()))

    def write(self, rows: pl.DataFrame, *, feature_view_version: int) -> None:
        """Store the sums of some hours in place of those stored before, and the starts of runs beside those stored.

        Args:
            rows: SCORED_HOURS of the feature view; of each hour, all its rows.
            feature_view_version: The feature view.
        """
        given = checks.strict_frame(rows, SCORED_HOURS)
        times, starts = given["datetime_utc"].unique().sort(), pl.col("level") == START_LEVEL
        hours = given.filter(~starts)["datetime_utc"].unique()
        at_times = [pl.col(_DATE).is_in(times.dt.date().unique().implode()), _is_in(times)]
        own = pl.col("feature_view_version") == feature_view_version

        def plan(snapshot: Snapshot) -> tuple[None, Change | None]:
            stored = snapshot.rows.filter(own, *at_times).select(SCORED_HOURS.names()).collect()
            old = ~starts & _is_in(hours)
            new = pl.concat([given.filter(~starts), given.filter(starts).join(stored, on=_START, how="anti")])
            if new.is_empty():
                return None, None
            if stored.filter(old).is_empty():
                return None, Change(_with_date(new))
            return None, Change(
                _with_date(pl.concat([stored.filter(~old), new])), replacing=_sql(feature_view_version, times)
            )

        if not given.is_empty():
            self._table.commit(plan)


_START: Final = ("level", "reference_datetime", "forecasts_hash", "datetime_utc")


def _is_in(times: pl.Series) -> pl.Expr:
    return pl.col("datetime_utc").is_in(times.implode())


def _with_date(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("datetime_utc").dt.date().alias(_DATE))


def _sql(feature_view_version: int, hours: pl.Series) -> str:
    """Return the SQL condition for all rows of some hours."""
    named = {
        name: ", ".join(f"'{each.isoformat()}'" for each in values)
        for name, values in ((_DATE, hours.dt.date().unique().sort()), ("datetime_utc", hours))
    }
    within = " AND ".join(f"{name} IN ({values})" for name, values in named.items())
    return f"feature_view_version = {feature_view_version} AND {within}"
