"""The forecast archive, its runs and its monitoring: what was forecast at each reference time, from what, how well.

All tables are written one run at a time: all rows of one feature view version and reference time, in one commit.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import FORECASTS, HOUR, KEY, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, as_utc
from forecast_core.tables import checks, keyed, upkeep
from forecast_core.tables.delta import Table, storage_errors
from forecast_core.tables.places import table

RUN: Final = ("feature_view_version", "reference_datetime")
"""The columns that name one run."""

METRICS: Final = pl.Schema(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        "level": pl.String(),
        "area": pl.String(),
        "consumer_type": pl.String(),
        "datetime_utc": UTC_HOUR,
        "lead": pl.Int64(),
        "days": pl.Int64(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "n": pl.Int64(),
    }
)
"""One metric of one run: over all (``overall``), or of one ``hour``, ``series`` or ``lead``.

It is over the last ``days`` (1, 7 or 30) days up to the newest observed hour. ``area``, ``consumer_type``,
``datetime_utc`` and ``lead`` (1 is the first hour of a forecast) are null where the level does not name them; ``value``
is null where the metric is not defined; ``n`` is the number of forecasts behind it. docs/monitoring.md lists the
metrics of each level.
"""

RUNS: Final = pl.Schema(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        "training_dataset_version": pl.Int64(),
        "model_version": pl.Int64(),
        "fh": pl.Int64(),
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
        "history_rows": pl.Int64(),
        "history_series": pl.Int64(),
        "history_hash": pl.String(),
        "forecasts": pl.Int64(),
        "forecasts_hash": pl.String(),
        "made_by": pl.String(),
    }
)
"""What one run's forecasts were made from: the observations in [window_start, window_end) as known at the reference.

The hashes are ``feature_store.content_hash`` and ``provenance.digests.of_frame``. ``made_by`` is JSON, by which code
and DAG run: those of the run that made these forecasts first.
"""

EXPLANATIONS: Final = pl.Schema(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        **{name: OBSERVATIONS[name] for name in KEY},
        "kind": pl.String(),
        "name": pl.String(),
        "value": pl.Float64(),
    }
)
"""What drove each forecast, in kWh. Kind ``member``: what each member of the blend adds; they sum to the forecast.
Kind ``feature``: what each group of inputs adds to what the fitted members say; they sum to those members' part.
"""

_IN_FORECASTS: Final = (*RUN, "training_dataset_version", "model_version", "forecasts")
"""The columns of RUNS that the archived forecasts show, too: their versions and their number."""

_EXPLANATIONS_KEY: Final = (*KEY, "kind", "name")
_METRICS_KEY: Final = ("days", "level", *KEY, "lead", "metric")
_METRICS_NULLABLE: Final = (*KEY, "lead", "value")
_DATE: Final = "reference_date"


class ForecastArchive:
    """Delta tables for forecasts, their explanations, runs and monitoring, under ``settings.store``."""

    def __init__(self, settings: Settings) -> None:
        self._forecasts = _dated_table(settings, "forecasts", FORECASTS)
        self._explanations = _dated_table(settings, "forecast_explanations", EXPLANATIONS)
        self._runs = _dated_table(settings, "forecast_runs", RUNS)
        self._metrics = _dated_table(settings, "monitoring", METRICS)

    def create(self) -> None:
        """Create the tables that do not exist; done at deployment, and by the first write otherwise."""
        for each in (self._forecasts, self._explanations, self._runs, self._metrics):
            each.create()

    def write(self, frame: pl.DataFrame) -> int:
        """Store all forecasts of one run, in place of those that it stored before; the same again commits nothing.

        Args:
            frame: FORECASTS with at least one row, all of the same feature view version and reference time.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly that, a value is missing or not finite, or a key comes twice.
            StorageError: If the archive cannot be written now.
        """
        return _replace_run(self._forecasts, checks.strict_frame(frame, FORECASTS, key=(*RUN, *KEY)))

    def read(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        reference_until: datetime | None = None,
        target: Window | None = None,
        series: Sequence[tuple[str, str]] | None = None,
    ) -> pl.DataFrame:
        """Return FORECASTS sorted by reference time and key; none if nothing was archived.

        Args:
            feature_view_version: The feature view that the forecasts were made with; None for those of all.
            reference_from: First reference time, inclusive.
            reference_until: End of the reference times, exclusive.
            target: The hours that are forecast.
            series: Only these, as (area, consumer_type).
        """
        hour = pl.col("datetime_utc")
        hours = [] if target is None else [hour >= as_utc(target.start), hour < as_utc(target.end)]
        conditions = [*_run_range(feature_view_version, reference_from, reference_until), *hours, *_only(series)]
        frame = self._forecasts.collect(lambda rows: rows.filter(*conditions).select(FORECASTS.names()))
        return frame.sort("reference_datetime", "feature_view_version", *KEY)

    def read_run(self, *, feature_view_version: int, reference_datetime: datetime) -> pl.DataFrame:
        """Return FORECASTS of one run, in no order and in little memory, for a server of many series.

        The reference time is left out; area, consumer type and quality are categories.
        """
        at, names = as_utc(reference_datetime), [name for name in FORECASTS if name != "reference_datetime"]
        categories = pl.col(*SERIES, "quality").cast(pl.Categorical)
        conditions = _run_range(feature_view_version, at, at + timedelta(microseconds=1))
        snapshot = self._forecasts.snapshot()
        rows = pl.LazyFrame(schema=self._forecasts.schema) if snapshot is None else snapshot.rows
        with storage_errors(self._forecasts.uri):
            return rows.filter(*conditions).select(names).with_columns(categories).collect(engine="streaming")

    def write_explanations(
        self, frame: pl.DataFrame, *, feature_view_version: int, reference_datetime: datetime
    ) -> int:
        """Store the explanation of one run's forecasts, in place of the stored one; the same again commits nothing.

        Args:
            frame: EXPLANATIONS of the run; no row at all if every contribution is zero.
            feature_view_version: The run's.
            reference_datetime: The run's.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly that, a value is missing or not finite, or a key comes twice.
            StorageError: If the archive cannot be written now.
        """
        checked = checks.strict_frame(frame, EXPLANATIONS, key=(*RUN, *_EXPLANATIONS_KEY))
        return _replace_run(self._explanations, checked, run=(feature_view_version, as_utc(reference_datetime)))

    def read_explanations(
        self,
        *,
        feature_view_version: int,
        reference_datetime: datetime,
        area: str | None = None,
        consumer_type: str | None = None,
    ) -> pl.DataFrame:
        """Return EXPLANATIONS of one run, sorted by key, kind and name; none if the run has none.

        Args:
            feature_view_version: The run's.
            reference_datetime: The run's.
            area: Of the series to return; None for those of all areas.
            consumer_type: Of the series to return; None for all.
        """
        at = as_utc(reference_datetime)
        conditions = _run_range(feature_view_version, at, at + HOUR)
        conditions += [
            pl.col(name) == value for name, value in zip(SERIES, (area, consumer_type), strict=True) if value
        ]
        frame = self._explanations.collect(lambda rows: rows.filter(*conditions).select(EXPLANATIONS.names()))
        return frame.sort(*_EXPLANATIONS_KEY)

    def write_run(self, frame: pl.DataFrame) -> None:
        """Store what one run's forecasts were made from; the same again, by whomever, commits nothing.

        Args:
            frame: One row of RUNS.

        Raises:
            InvalidArgument: If the frame is not exactly that, or a value is missing.
            StorageError: If the archive cannot be written now.
        """
        _replace_run(self._runs, checks.strict_frame(frame, RUNS, key=RUN), makers=("made_by",))

    def read_runs(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        reference_until: datetime | None = None,
        known: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Return RUNS with a reference time in [from, until), sorted by it and the feature view.

        A run exists when its forecasts are archived. Its row is written before them, so a row whose forecasts are not
        there (yet), or are those of another model, is left out.

        Args:
            feature_view_version: The feature view of the runs; None for those of all.
            reference_from: First reference time, inclusive.
            reference_until: End of the reference times, exclusive.
            known: RUNS that were returned before: their forecasts are not looked for again.
        """
        conditions = _run_range(feature_view_version, reference_from, reference_until)
        frame = self._runs.collect(lambda rows: rows.filter(*conditions).select(RUNS.names()))
        new = frame if known is None else frame.join(known, on=RUNS.names(), how="anti")
        missing = new.join(self._archived(new), on=_IN_FORECASTS, how="anti")
        return frame.join(missing, on=RUN, how="anti").sort("reference_datetime", "feature_view_version")

    def newest_run(self, *, feature_view_version: int, reference_until: datetime) -> pl.DataFrame:
        """Return the row of RUNS of the latest run of a feature view before a time; no row if there is none.

        Days are read from the latest one back until one has a run, so the cost does not grow with the history.
        """
        snapshot, until = self._runs.snapshot(), as_utc(reference_until)
        dates = [] if snapshot is None else [date.fromisoformat(each[_DATE]) for each in snapshot.table.partitions()]
        for day in sorted((each for each in dates if each <= until.date()), reverse=True):
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            end = min(start + timedelta(days=1), until)
            found = self.read_runs(feature_view_version=feature_view_version, reference_from=start, reference_until=end)
            if not found.is_empty():
                return found.tail(1)
        return pl.DataFrame(schema=RUNS)

    def _archived(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return ``_IN_FORECASTS`` of the forecasts that are archived for the reference times of some RUNS."""
        times = runs["reference_datetime"].unique()
        wanted = [pl.col(_DATE).is_in(times.dt.date().unique().implode()), pl.col(RUN[1]).is_in(times.implode())]
        versions = [name for name in _IN_FORECASTS if name != "forecasts"]
        count = pl.len().cast(pl.Int64).alias("forecasts")
        return self._forecasts.collect(lambda rows: rows.filter(*wanted).group_by(versions).agg(count))

    def write_metrics(self, frame: pl.DataFrame) -> int:
        """Store all metrics of one run, in place of those that it stored before; the same again commits nothing.

        Args:
            frame: METRICS with at least one row, all of the same feature view version and reference time.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly that, or a level's metric comes twice.
            StorageError: If the archive cannot be written now.
        """
        checked = checks.strict_frame(frame, METRICS, key=(*RUN, *_METRICS_KEY), nullable=_METRICS_NULLABLE)
        return _replace_run(self._metrics, checked)

    def read_metrics(
        self,
        *,
        feature_view_version: int,
        reference_from: datetime | None = None,
        reference_until: datetime | None = None,
    ) -> pl.DataFrame:
        """Return METRICS of the runs in [from, until), sorted by reference time, days, level, key, lead and metric."""
        conditions = _run_range(feature_view_version, reference_from, reference_until)
        frame = self._metrics.collect(lambda rows: rows.filter(*conditions).select(METRICS.names()))
        return frame.sort("reference_datetime", *_METRICS_KEY)

    def maintain(self, *, keep: timedelta) -> dict[str, Any]:
        """Do for the archive what ``FeatureStore.maintain`` does for the store; the report is of the same form.

        Raises:
            InvalidArgument: If ``keep`` is less than an hour.
        """
        kept = upkeep.kept(keep)
        tables = {
            "forecasts": self._forecasts,
            "forecast_explanations": self._explanations,
            "forecast_runs": self._runs,
            "monitoring": self._metrics,
        }
        report = {name: upkeep.maintain(each, keep=kept) for name, each in tables.items()}
        return {name: done for name, done in report.items() if done is not None}


def _dated_table(settings: Settings, name: str, schema: pl.Schema) -> Table:
    return table(settings, name, schema=pl.Schema({**schema, _DATE: pl.Date()}), partition_by=(_DATE,))


def _replace_run(
    target: Table, frame: pl.DataFrame, *, run: tuple[int, datetime] | None = None, makers: tuple[str, ...] = ()
) -> int:
    """Replace the rows of one run: of ``run`` if it is given (the frame may then be empty), or of that in the frame."""
    runs = frame.select(RUN).unique().rows()
    if len(runs) + (run is not None) == 0 or any(each != (run or runs[0]) for each in runs):
        wanted = "exactly one run" if run is None else f"the run {run}"
        raise InvalidArgument(f"expected the rows of {wanted}, got those of {runs[:10]}", runs=runs)
    version, reference = run or runs[0]
    key = {_DATE: reference.date(), "feature_view_version": version, "reference_datetime": reference}
    dated = frame.with_columns(pl.col("reference_datetime").dt.date().alias(_DATE))
    keyed.replace(target, dated, key=key, makers=makers)
    return frame.height


def _only(series: Sequence[tuple[str, str]] | None) -> list[pl.Expr]:
    """Conditions for some series; the bounds on each column are for passing over parts of files."""
    if series is None:
        return []
    if not series:
        return [pl.lit(value=False)]
    areas, kinds = ({each[column] for each in series} for column in (0, 1))
    bounds = [
        pl.col(name).is_between(pl.lit(min(values)), pl.lit(max(values)))
        for name, values in zip(SERIES, (areas, kinds), strict=True)
    ]
    wanted = pl.Series([dict(zip(SERIES, each, strict=True)) for each in series]).implode()
    return bounds if len(series) == 1 else [*bounds, pl.struct(SERIES).is_in(wanted)]


def _run_range(version: int | None, start: datetime | None, end: datetime | None) -> list[pl.Expr]:
    """Conditions for the runs of a view, or of all, in [start, end), for the partitions first."""
    reference, date = pl.col("reference_datetime"), pl.col(_DATE)
    conditions = [] if version is None else [pl.col("feature_view_version") == version]
    if start is not None:
        conditions += [date >= as_utc(start).date(), reference >= as_utc(start)]
    if end is not None:
        conditions += [date <= as_utc(end).date(), reference < as_utc(end)]
    return conditions
