"""Decide between decimals and thousands where a file shows neither: by an answer given once, or by known values."""

import logging
from collections.abc import Callable
from typing import Final, Literal

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.extract import numerals
from feature_pipeline.extract.numerals import Notation
from feature_pipeline.extract.raw import ROW, Origin, observations
from feature_pipeline.wording import counted
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import KEY, SERIES

logger = logging.getLogger(__name__)

Known = Callable[[Dataset], pl.DataFrame]
"""Returns OBSERVATIONS of a dataset near the window that are known already, possibly none."""

_AGREEING: Final = 0.9
"""Share of the values that must be nearer to known ones in one reading than in the other."""
_NEAR_FACTOR: Final = 5.0
"""Within which the median of these values must be of the known ones; the two readings differ by 1000."""


def observed(
    frame: pl.DataFrame,
    dataset: Dataset,
    *,
    origin: Origin,
    notation: Notation,
    known: Known,
    answer: Literal["point", "comma"] | None,
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return what ``raw.observations`` returns, in the reading that the file, ``answer`` or ``known`` values show.

    Args:
        frame: As for ``raw.observations``.
        dataset: What the columns mean.
        origin: For messages.
        notation: How the whole file writes numbers, if it shows that.
        known: Asked only where the file does not show it.
        answer: The setting ``source_decimal``.

    Raises:
        SourceError: As ``raw.observations``, and if nothing decides between the two readings.
    """
    energy = frame[dataset.energy]
    if notation.decimal is not None or not numerals.ambiguous(energy).any():
        return observations(frame, dataset, origin=origin, notation=notation)
    readings = Notation(".", grouped=True), Notation(",", grouped=True)
    if answer is not None:
        return observations(frame, dataset, origin=origin, notation=readings[answer == "comma"])
    both = [observations(frame, dataset, origin=origin, notation=each) for each in readings]
    chosen = _nearer(both[0][0], both[1][0], known(dataset))
    if chosen is None:
        raise _undecided(frame, dataset, origin=origin)
    logger.info("%s: known values show a decimal %s", origin.name, ("point", "comma")[chosen])
    return both[chosen]


def _nearer(point: pl.DataFrame, comma: pl.DataFrame, known: pl.DataFrame) -> int | None:
    """Return which reading (0 or 1) is near the known value of the same hour or else of the series; None if neither."""
    value = pl.col("energy_consumption")
    usual = known.group_by(SERIES).agg(value.median().alias("usual"))
    compared = (
        point.join(comma, on=KEY, suffix="_comma")
        .filter(value != pl.col("energy_consumption_comma"))
        .join(known.select(*KEY, value.alias("same_hour")), on=KEY, how="left")
        .join(usual, on=SERIES, how="left")
        .with_columns(
            (pl.col(name) / pl.coalesce("same_hour", "usual")).abs().log().abs().alias(name)
            for name in ("energy_consumption", "energy_consumption_comma")
        )
        .select("energy_consumption", "energy_consumption_comma")
        .filter(pl.all_horizontal(pl.all().is_finite()))
    )
    if compared.is_empty():
        return None
    distances = [compared.to_series(0), compared.to_series(1)]
    for chosen, distance in enumerate(distances):
        share = (distance < distances[1 - chosen]).mean()
        middle = distance.median()
        if isinstance(share, float) and isinstance(middle, float) and share >= _AGREEING:
            return chosen if middle <= pl.Series([_NEAR_FACTOR]).log()[0] else None
    return None


def _undecided(frame: pl.DataFrame, dataset: Dataset, *, origin: Origin) -> SourceError:
    energy = frame[dataset.energy]
    both = numerals.ambiguous(energy)
    row = both.arg_true()[0]
    shown = energy[row].strip()
    mark = "comma" if "," in shown else "point"
    whole = shown.replace(",", "").replace(".", "")
    other = {"point": "comma", "comma": "point"}[mark]
    return SourceError(
        f"{origin.name} does not show whether the {mark} in {counted(int(both.sum()), 'value')} of column "
        f"{dataset.energy} stands before decimals or between thousands: {shown!r} in {origin.place} {frame[ROW][row]} "
        f"is {shown.replace(',', '.')} or {whole}. Say it once: ML_PIPELINE_SOURCE_DECIMAL={mark} (decimals) or "
        f"{other} (thousands); docs/sources.md.",
        source=origin.name,
        column=dataset.energy,
    )
