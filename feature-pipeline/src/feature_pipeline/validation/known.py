"""What the store has of a run's window: the values known before the run, and those that it stored itself earlier."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore


@dataclass(frozen=True)
class Known:
    """What the store has of the window of a run.

    Attributes:
        before: OBSERVATIONS as known an hour before the reference time: a run that is repeated does not find its own.
        stored: OBSERVATIONS that an earlier ingest at this very reference time left. They stay when it is repeated.
        series: Every series, as (area, consumer type), that had a value before, in the window or not.
    """

    before: pl.DataFrame
    stored: pl.DataFrame
    series: list[tuple[str, str]]


def known(
    window: Window, *, dataset: str, feature_group_version: int, reference_datetime: datetime, settings: Settings
) -> Known:
    """Return what the store has; of a feature group that does not exist yet, nothing.

    Raises:
        StorageError: If the store cannot be read now.
    """
    store, before = FeatureStore(settings), reference_datetime - HOUR
    nothing = pl.DataFrame(schema=OBSERVATIONS)
    try:
        values = store.read(
            dataset=dataset, feature_group_version=feature_group_version, window=window, reference_datetime=before
        )
    except NotFoundError:
        return Known(nothing, nothing, [])
    earlier = store.ingests(
        dataset=dataset,
        feature_group_version=feature_group_version,
        known_from=reference_datetime,
        known_until=reference_datetime,
    )
    stored = nothing
    if earlier:
        states = store.read_revisions(
            dataset=dataset, feature_group_version=feature_group_version, window=window, known_until=reference_datetime
        )
        hour = pl.col("datetime_utc")
        asked = [hour.is_between(each.window.start, each.window.end, closed="left") for each in earlier]
        stored = (
            states.unique(KEY, keep="last", maintain_order=True)
            .filter(pl.any_horizontal(asked), pl.col("energy_consumption").is_not_null())
            .select(OBSERVATIONS.names())
        )
    return Known(
        values,
        stored,
        store.known_series(dataset=dataset, feature_group_version=feature_group_version, reference_datetime=before),
    )


def settled(given: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what the store will have once ``given`` is ingested, and the given values that it will not take.

    A value that is stored for the reference time of the run stays, so validation judges that value and not the one
    that the source gives now.

    Args:
        given: OBSERVATIONS that the source gives, checked or not.
        stored: ``Known.stored``.

    Returns:
        OBSERVATIONS sorted by key; and of the values not taken, KEY, ``stored`` and ``given``, sorted by key.
    """
    if stored.is_empty():
        return given, pl.DataFrame(schema={**{name: OBSERVATIONS[name] for name in KEY}, "stored": pl.Float64})
    both = given.join(stored.rename({"energy_consumption": "stored"}), on=KEY, how="left", maintain_order="left")
    value = pl.col("energy_consumption")
    differs = pl.col("stored").is_not_null() & value.ne_missing(pl.col("stored"))
    refused = both.filter(differs).select(*KEY, "stored", given=value).sort(KEY)
    kept = both.select(*KEY, pl.coalesce("stored", value).alias("energy_consumption"))
    absent = stored.join(given, on=KEY, how="anti")
    whole = pl.concat([kept, absent]).select(OBSERVATIONS.names()) if absent.height else kept.select(given.columns)
    return whole.sort(*KEY, "energy_consumption"), refused
