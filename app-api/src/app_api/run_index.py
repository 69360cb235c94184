"""One run's forecasts, held so that those of any series are answered at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from forecast_core.schema import KEY, QUANTILES, SERIES, UTC_HOUR

Name = tuple[str, str]
VALUES: Final = ("energy_consumption", *QUANTILES)
HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, eq=False)
class RunIndex:
    """All forecasts of one run, and where those of each series are; immutable: a reader sees one run or another.

    Attributes:
        facts: The run's reference time and versions, as every answer has them.
        tag: Names the content.
        frame: ``schema.FORECASTS`` sorted by key; strings that repeat are categories.
        places: First row and number of rows of each series.
    """

    facts: dict[str, Any]
    tag: str
    frame: pl.DataFrame
    places: dict[Name, tuple[int, int]]
    _values: tuple[npt.NDArray[np.float64], ...]
    _hours: tuple[npt.NDArray[np.int64], list[str]]
    _quality: tuple[npt.NDArray[np.unsignedinteger[Any]], list[str]]

    @property
    def reference(self) -> datetime:
        """When the run was made."""
        reference: datetime = self.facts["reference_datetime"]
        return reference

    def body(self, series: Name) -> dict[str, Any]:
        """Return one series' forecast as ``models.SeriesForecast`` has it; times are datetimes or text."""
        first, count = self.places[series]
        rows = slice(first, first + count)
        hours, hour_texts = self._hours
        codes, qualities = self._quality
        columns = (values[rows].tolist() for values in self._values)
        forecast = [
            {
                "datetime_utc": hour_texts[hour],
                "energy_consumption": value,
                "q05": q05,
                "q10": q10,
                "q50": q50,
                "q90": q90,
                "q95": q95,
                "quality": qualities[code],
            }
            for hour, code, value, q05, q10, q50, q90, q95 in zip(
                hours[rows].tolist(), codes[rows].tolist(), *columns, strict=True
            )
        ]
        return {"area": series[0], "consumer_type": series[1], "unit": "kWh", **self.facts, "forecast": forecast}

    def rows(self, series: Sequence[Name]) -> pl.DataFrame:
        """Return the rows of some series, in this order."""
        found = [self.frame.slice(*self.places[each]) for each in series]
        return pl.concat(found) if found else self.frame.clear()


def indexed(frame: pl.DataFrame, *, tag: str) -> RunIndex:
    """Return the index of one run.

    Args:
        frame: ``schema.FORECASTS`` of one run, at least one row.
        tag: Names the content.
    """
    texts = {name: pl.Enum(frame[name].unique().sort()) for name in (*SERIES, "quality")}
    compact = frame.sort(KEY).with_columns(pl.col(name).cast(kind) for name, kind in texts.items()).rechunk()
    first = compact.row(0, named=True)
    named = ("reference_datetime", "feature_view_version", "training_dataset_version", "model_version")
    hour = compact["datetime_utc"].to_physical().to_numpy()
    start = int(hour.min())
    numbers = (hour - start) // HOUR_US
    texts_of_hours = pl.Series(range(int(numbers.max()) + 1), dtype=pl.Int64) * HOUR_US + start
    return RunIndex(
        facts={name: first[name] for name in named},
        tag=tag,
        frame=compact,
        places=_places(compact),
        _values=tuple(compact[name].to_numpy() for name in VALUES),
        _hours=(numbers, texts_of_hours.cast(UTC_HOUR).dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()),
        _quality=(compact["quality"].to_physical().to_numpy(), texts["quality"].categories.to_list()),
    )


def _places(frame: pl.DataFrame) -> dict[Name, tuple[int, int]]:
    numbered = frame.select(SERIES).with_row_index("row")
    found = numbered.group_by(SERIES, maintain_order=True).agg(first=pl.col("row").min(), count=pl.len())
    columns = found.select(pl.col(SERIES).cast(pl.String), "first", "count").iter_rows()
    return {(area, kind): (first, count) for area, kind, first, count in columns}


def encoded(body: Any) -> bytes:
    """Return JSON; datetimes in UTC end in Z."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)
