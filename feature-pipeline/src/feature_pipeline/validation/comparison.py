"""What a source gives, compared with what the store has of the same hours."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from feature_pipeline.validation import restated
from feature_pipeline.validation.known import Known, settled
from feature_pipeline.wording import counted
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.quarantine import ACCEPTED


@dataclass(frozen=True)
class Comparison:
    """What a source gives, compared with what the store has of the same hours.

    Attributes:
        observations: OBSERVATIONS that the store will have once the given ones are ingested.
        by_series: Output of ``restated.compared``.
        kept: KEY of the hours that have a known value and come without one; the known value stays.
        not_taken: KEY, ``stored`` and ``given`` of the values that differ from one stored for the same reference time.
    """

    observations: pl.DataFrame
    by_series: pl.DataFrame
    kept: pl.DataFrame
    not_taken: pl.DataFrame

    @classmethod
    def between(cls, given: pl.DataFrame, known: Known, *, accepted: pl.DataFrame) -> "Comparison":
        """Compare OBSERVATIONS, checked or not; ``accepted`` is ACCEPTED."""
        observations, not_taken = settled(given, known.stored)
        return cls(
            observations,
            restated.compared(observations, known.before, accepted=accepted),
            known.before.join(observations, on=KEY, how="anti").select(KEY).sort("datetime_utc", *KEY[:2]),
            not_taken,
        )

    @classmethod
    def of_nothing(cls) -> "Comparison":
        """Return the comparison of no observations with an empty store."""
        nothing = pl.DataFrame(schema=OBSERVATIONS)
        return cls.between(nothing, Known(nothing, nothing, []), accepted=pl.DataFrame(schema=ACCEPTED))

    def warnings(self, reference_datetime: datetime) -> list[str]:
        """Return a line about known values that stay, for each of the two reasons."""
        lines = []
        if self.kept.height:
            hours = counted(self.kept.height, "hour")
            lines.append(f"{hours} with a known value came without one, {_first(self.kept)}: the known values stay")
        if self.not_taken.height:
            lines.append(_rerun(self.not_taken, reference_datetime))
        return lines


def _rerun(not_taken: pl.DataFrame, reference_datetime: datetime) -> str:
    """Return the line about values that a repeated run did not take, and which run does."""
    one = not_taken.height == 1
    differ, it = ("differs from one", "it") if one else ("differ from those", "them")
    row = not_taken.row(0, named=True)
    example = f"{_first(not_taken)} ({row['stored']:.10g} stays, {row['given']:.10g} came)"
    return (
        f"{counted(not_taken.height, 'value')} {differ} stored for the same reference time and "
        f"{'was' if one else 'were'} not taken, {example}: what was known at {reference_datetime:{DATETIME_FORMAT}} "
        f"does not change afterwards. The run at {reference_datetime + HOUR:{DATETIME_FORMAT}} or any later one takes "
        f"{it}; earlier forecasts stay without {it}"
    )


def _first(rows: pl.DataFrame) -> str:
    area, kind, hour = rows.select(KEY).row(0)
    return f"first {area}/{kind} at {hour:{DATETIME_FORMAT}}"
