"""The forecasts of one run as arrays in memory, indexed by series."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from forecast_core.contracts.schema import FORECASTS, KEY, QUANTILES, SERIES, UTC_HOUR

Name = tuple[str, str]
VALUES: Final = ("energy_consumption", *QUANTILES)
_HOUR_US: Final = 3_600_000_000


class RunFacts(TypedDict):
    """Reference time and versions of a run, as every answer about its forecasts has them."""

    reference_datetime: datetime
    feature_view_version: int
    training_dataset_version: int
    model_version: int


class Hour(TypedDict):
    """``models.ForecastHour`` as it is encoded; ``datetime_utc`` is ISO 8601."""

    datetime_utc: str
    energy_consumption: float
    q05: float
    q10: float
    q50: float
    q90: float
    q95: float
    quality: str


class Body(RunFacts):
    """``models.SeriesForecast`` as it is encoded."""

    area: str
    consumer_type: str
    unit: str
    forecast: list[Hour]
    observations: NotRequired[list[dict[str, Any]]]
    previous: NotRequired["Body | None"]
    not_taken: NotRequired[int]


@dataclass(frozen=True, eq=False)
class RunIndex:
    """All forecasts of one run, and the rows of each series; immutable, so that a reader sees one run or another.

    Attributes:
        facts: The run's reference time and versions, as every answer has them.
        tag: Names the run and its content.
        places: First row and number of rows of each series, sorted by area and consumer type.
        first_hour: The first hour that is forecast.
        hour_texts: ISO 8601 of that hour and of those after it.
        qualities: The qualities that forecasts have.
        values: A row per forecast, in columns ``VALUES``.
        hours: For each row, which of ``hour_texts`` it is of.
        quality: For each row, which of ``qualities`` it has.
    """

    facts: RunFacts
    tag: str
    places: dict[Name, tuple[int, int]]
    first_hour: datetime
    hour_texts: list[str]
    qualities: list[str]
    values: npt.NDArray[np.float64]
    hours: npt.NDArray[np.int32]
    quality: npt.NDArray[np.uint32]

    @property
    def reference(self) -> datetime:
        """When the run was made."""
        return self.facts["reference_datetime"]

    def body(self, series: Name) -> Body:
        """Return the forecast of one series, with nothing beside it."""
        first, count = self.places[series]
        rows = slice(first, first + count)
        texts, qualities = self.hour_texts, self.qualities
        forecast: list[Hour] = [
            {
                "datetime_utc": texts[hour],
                "energy_consumption": value,
                "q05": q05,
                "q10": q10,
                "q50": q50,
                "q90": q90,
                "q95": q95,
                "quality": qualities[code],
            }
            for hour, code, (value, q05, q10, q50, q90, q95) in zip(
                self.hours[rows].tolist(), self.quality[rows].tolist(), self.values[rows].tolist(), strict=True
            )
        ]
        return {
            "area": series[0],
            "consumer_type": series[1],
            "unit": "kWh",
            "reference_datetime": self.facts["reference_datetime"],
            "feature_view_version": self.facts["feature_view_version"],
            "training_dataset_version": self.facts["training_dataset_version"],
            "model_version": self.facts["model_version"],
            "forecast": forecast,
        }

    def frame(self, series: Sequence[Name]) -> pl.DataFrame:
        """Return FORECASTS of some series, in this order."""
        places = [self.places[each] for each in series]
        counts = [count for _, count in places]
        rows = np.concatenate([np.arange(first, first + count) for first, count in places] or [np.arange(0)])
        start = int(self.first_hour.timestamp()) * 1_000_000
        columns = {
            **{name: np.repeat(np.array([each[at] for each in series]), counts) for at, name in enumerate(SERIES)},
            "datetime_utc": pl.Series(start + self.hours[rows].astype(np.int64) * _HOUR_US).cast(UTC_HOUR),
            **{name: self.values[rows, at] for at, name in enumerate(VALUES)},
            "quality": pl.Series(self.qualities, dtype=pl.String).gather(self.quality[rows]),
        }
        literals = [pl.lit(value, FORECASTS[name]).alias(name) for name, value in self.facts.items()]
        frame = pl.DataFrame(columns) if len(rows) else pl.DataFrame(schema=FORECASTS).select(list(columns))
        return frame.with_columns(literals).select(FORECASTS.names())

    def by_quality(self) -> dict[str, int]:
        """Return the number of forecasts by quality."""
        return dict(zip(self.qualities, np.bincount(self.quality, minlength=len(self.qualities)).tolist(), strict=True))


def indexed(frame: pl.DataFrame, *, reference: datetime) -> RunIndex:
    """Return the index of one run.

    Args:
        frame: ``schema.FORECASTS`` of one run but its reference time, at least one row; strings may be categories.
        reference: Its reference time.
    """
    starts = _starts(frame)
    if starts is None:
        frame = frame.sort(KEY)
        starts = frame.select(_begins()).to_series().arg_true()
    named = frame[starts].select(pl.col(SERIES).cast(pl.String)).rows()
    ends = [*starts.to_list()[1:], frame.height]
    hours = frame["datetime_utc"].to_physical().to_numpy()
    first = int(hours.min())
    numbers = ((hours - first) // _HOUR_US).astype(np.int32)
    qualities = frame["quality"].unique().cast(pl.String).sort()
    codes = frame["quality"].cast(pl.String).replace_strict(qualities, range(len(qualities)), return_dtype=pl.UInt32)
    values = np.empty((frame.height, len(VALUES)))
    for column, name in enumerate(VALUES):
        values[:, column] = frame[name].to_numpy()
    all_hours = pl.Series(range(int(numbers.max()) + 1), dtype=pl.Int64) * _HOUR_US + first
    facts: RunFacts = {
        "reference_datetime": reference,
        "feature_view_version": frame["feature_view_version"][0],
        "training_dataset_version": frame["training_dataset_version"][0],
        "model_version": frame["model_version"][0],
    }
    return RunIndex(
        facts=facts,
        tag=_tag(facts, [named, starts.to_list(), first, qualities.to_list()], [values, numbers, codes.to_numpy()]),
        places=_sorted_places(zip(named, starts.to_list(), ends, strict=True)),
        first_hour=all_hours.cast(UTC_HOUR)[0],
        hour_texts=all_hours.cast(UTC_HOUR).dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list(),
        qualities=qualities.to_list(),
        values=values,
        hours=numbers,
        quality=codes.to_numpy(),
    )


def _tag(facts: RunFacts, parts: Sequence[Any], arrays: Sequence[npt.NDArray[Any]]) -> str:
    """Return what names a run and the content of its forecasts.

    The hash in the run's row of the archive would not do: the row is written before the forecasts, so a reader may
    meet a new row beside old forecasts, and the old ones would get the tag of the new ones.
    """
    content = hashlib.blake2b(repr((facts, parts)).encode(), digest_size=12)
    for each in arrays:
        content.update(np.ascontiguousarray(each).data)
    return f"{facts['feature_view_version']}-{facts['reference_datetime']:%Y%m%dT%H%M}-{content.hexdigest()}"


def _begins() -> pl.Expr:
    """Whether a row is of another series than the one before it."""
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in SERIES)


def _starts(frame: pl.DataFrame) -> pl.Series | None:
    """Return where each series starts, or None if not all have their rows together and in order."""
    begins = frame.select(_begins()).to_series()
    starts = begins.arg_true()
    together = frame[starts].select(SERIES).is_unique().all()
    later = frame["datetime_utc"].to_physical().diff().fill_null(0) > 0
    return starts if together and bool((begins | later).all()) else None


def _sorted_places(found: Iterable[tuple[Name, int, int]]) -> dict[Name, tuple[int, int]]:
    return {name: (start, end - start) for name, start, end in sorted(found)}


def encoded(body: Any) -> bytes:
    """Return JSON; datetimes in UTC end in Z."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)
