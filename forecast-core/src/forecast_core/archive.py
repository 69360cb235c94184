"""The forecast archive: forecasts, their explanations, what they were made from, and monitoring metrics, by run.

A write replaces all rows of one run (feature view version and reference time) in one table, in one commit.

Long, because it is the one entrance to the tables of runs: about half of the lines describe arguments and errors.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import (
    EXPLANATIONS,
    FORECASTS,
    HOUR,
    KEY,
    METRICS,
    REASONS,
    RUN,
    RUNS,
    SERIES,
)
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, as_utc
from forecast_core.tables import checks, keyed
from forecast_core.tables.declaration import dated
from forecast_core.tables.delta import Table
from forecast_core.tables.faults import storage_errors

_IN_FORECASTS: Final = (*RUN, "training_dataset_version", "model_version", "forecasts")
"""The columns of RUNS that the archived forecasts show, too: their versions and their number."""

_DATE: Final = "reference_date"

_FORECASTS, _EXPLANATIONS, _RUNS, _METRICS = TABLES = tuple(
    dated(name, frame, by="reference_datetime", date_column=_DATE)
    for name, frame in (
        ("forecasts", FORECASTS),
        ("forecast_explanations", EXPLANATIONS),
        ("forecast_runs", RUNS),
        ("monitoring", METRICS),
    )
)
"""The tables of the archive."""


class ForecastArchive:
    """Delta tables for forecasts, their explanations, runs and monitoring, under ``settings.store``."""

    def __init__(self, settings: Settings) -> None:
        self._forecasts = _FORECASTS.table(settings)
        self._explanations = _EXPLANATIONS.table(settings)
        self._runs = _RUNS.table(settings)
        self._metrics = _METRICS.table(settings)

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
        return _replace_run(self._forecasts, checks.strict_frame(frame, FORECASTS))

    def read(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        reference_until: datetime | None = None,
        target: Window | None = None,
        series: Sequence[tuple[str, str]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return FORECASTS sorted by reference time and key; none if nothing was archived.

        Args:
            feature_view_version: The feature view that the forecasts were made with; None for those of all.
            reference_from: First reference time, inclusive.
            reference_until: End of the reference times, exclusive.
            target: The hours that are forecast.
            series: Only these, as (area, consumer_type).
            columns: Only these columns, and then in no order: sorting many runs costs more than reading them.
        """
        hour = pl.col("datetime_utc")
        hours = [] if target is None else [hour >= as_utc(target.start), hour < as_utc(target.end)]
        conditions = [*_run_range(feature_view_version, reference_from, reference_until), *hours, *_only(series)]
        frame = self._forecasts.collect(lambda rows: rows.filter(*conditions).select(columns or FORECASTS.names()))
        return frame if columns else frame.sort("reference_datetime", "feature_view_version", *KEY)

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
        checked = checks.strict_frame(frame, EXPLANATIONS)
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
        return frame.sort(REASONS.key)

    def write_run(self, frame: pl.DataFrame) -> None:
        """Store what one run's forecasts were made from; the same again, by whomever, commits nothing.

        Args:
            frame: One row of RUNS.

        Raises:
            InvalidArgument: If the frame is not exactly that, or a value is missing.
            StorageError: If the archive cannot be written now.
        """
        _replace_run(self._runs, checks.strict_frame(frame, RUNS), makers=("made_by",))

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
        frame = self.read_facts(
            feature_view_version=feature_view_version, reference_from=reference_from, reference_until=reference_until
        )
        new = frame if known is None else frame.join(known, on=RUNS.names(), how="anti")
        missing = new.join(self._archived(new), on=_IN_FORECASTS, how="anti")
        return frame.join(missing, on=RUN, how="anti").sort("reference_datetime", "feature_view_version")

    def read_facts(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        reference_until: datetime | None = None,
    ) -> pl.DataFrame:
        """Return RUNS with a reference time in [from, until), in no order, also those without forecasts."""
        conditions = _run_range(feature_view_version, reference_from, reference_until)
        return self._runs.collect(lambda rows: rows.filter(*conditions).select(RUNS.names()))

    def newest_run(self, *, feature_view_version: int, reference_until: datetime) -> pl.DataFrame:
        """Return the row of RUNS of the latest run of a feature view before a time; no row if there is none.

        Days are read from the latest one back until one has a run, so the cost does not grow with the history.
        """
        until = as_utc(reference_until)
        for day in _days_of(self._runs, feature_view_version, until):
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            end = min(start + timedelta(days=1), until)
            found = self.read_runs(feature_view_version=feature_view_version, reference_from=start, reference_until=end)
            if not found.is_empty():
                return found.tail(1)
        return pl.DataFrame(schema=RUNS)

    def views_at(self, reference_datetime: datetime) -> list[int]:
        """Return the feature views that have forecasts of a reference time."""
        at = as_utc(reference_datetime)
        conditions = _run_range(None, at, at + timedelta(microseconds=1))
        found = self._forecasts.collect(lambda rows: rows.filter(*conditions).select("feature_view_version").unique())
        return sorted(found["feature_view_version"].to_list())

    def count_forecasts(self, *, feature_view_version: int, reference_datetime: datetime) -> int:
        """Return the number of forecasts of one run."""
        at = as_utc(reference_datetime)
        conditions = _run_range(feature_view_version, at, at + timedelta(microseconds=1))
        return int(self._forecasts.collect(lambda rows: rows.filter(*conditions).select(pl.len())).item())

    def remove_run(self, *, feature_view_version: int, reference_datetime: datetime) -> dict[str, int]:
        """Remove all rows of one run; the forecasts last, so that a removal that was killed can be repeated.

        Returns:
            The number of rows that were removed, by table.
        """
        reference = as_utc(reference_datetime)
        key: dict[str, keyed.Value] = {
            _DATE: reference.date(),
            "feature_view_version": feature_view_version,
            "reference_datetime": reference,
        }
        tables = {
            "forecast_explanations": self._explanations,
            "monitoring": self._metrics,
            "forecast_runs": self._runs,
            "forecasts": self._forecasts,
        }
        return {name: keyed.remove(table, key=key) for name, table in tables.items()}

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
        checked = checks.strict_frame(frame, METRICS)
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
        return frame.sort("reference_datetime", *METRICS.key[len(RUN) :])

    def read_hours(
        self,
        *,
        feature_view_version: int,
        reference_datetimes: Sequence[datetime],
        metrics: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the metrics of level ``hour`` that some runs computed: of each hour and metric the last one.

        Args:
            feature_view_version: The feature view of the runs.
            reference_datetimes: Reference times of the runs.
            metrics: Only these; None for all.

        Returns:
            ``datetime_utc``, ``metric``, ``value``, ``n`` and ``reference_datetime``, sorted by the first two.
        """
        times = pl.Series(RUN[1], [as_utc(each) for each in reference_datetimes], METRICS[RUN[1]])
        conditions = [
            pl.col("feature_view_version") == feature_view_version,
            pl.col(_DATE).is_in(times.dt.date().unique().implode()),
            pl.col(RUN[1]).is_in(times.implode()),
            pl.col("level") == "hour",
        ]
        conditions += [] if metrics is None else [pl.col("metric").is_in(list(metrics))]
        columns = ["datetime_utc", "metric", "value", "n", "reference_datetime"]
        found = self._metrics.collect(lambda rows: rows.filter(*conditions).select(columns))
        last = found.sort("reference_datetime").unique(["datetime_utc", "metric"], keep="last")
        return last.sort("datetime_utc", "metric")


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


def _days_of(dated: Table, feature_view_version: int, until: datetime) -> list[date]:
    """Return the days up to ``until`` that may have rows of a feature view, latest first, by the table's log alone."""
    snapshot = dated.snapshot()
    files = pl.DataFrame() if snapshot is None else pl.DataFrame(snapshot.table.get_add_actions(flatten=True))
    if files.is_empty():
        return []
    of_view = pl.lit(feature_view_version).is_between("min.feature_view_version", "max.feature_view_version")
    days = files.filter(of_view)[f"partition.{_DATE}"].cast(pl.Date).unique().sort(descending=True)
    return days.filter(days <= until.date()).to_list()


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
