"""From source to store: reading as of a time gives what the source had published at that time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from feature_pipeline import demo, pipeline
from feature_pipeline.extract import extract
from feature_pipeline.testing import EnergiDataService, api_rows, demo_rows, faults
from feature_pipeline.testing.published import PUBLISHED
from feature_pipeline.transform import transform
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

DATASET = "ConsumptionDE35Hour"
FIRST = datetime(2023, 3, 26, tzinfo=UTC)
WINDOW = Window(FIRST - timedelta(days=1), FIRST)


@pytest.fixture(scope="module")
def final() -> pl.DataFrame:
    """A day with its final values."""
    return demo.observations(WINDOW.start, WINDOW.end, known_at=datetime(2024, 1, 1, tzinfo=UTC))


@pytest.fixture
def versions(final: pl.DataFrame) -> pl.DataFrame:
    """Of the day's values a tenth is published two days late, and a tenth is restated, some of them twice."""
    number = pl.int_range(pl.len())
    plain = final.with_columns(
        pl.when(number % 10 == 3)
        .then(pl.col("datetime_utc") + pl.duration(days=2))
        .otherwise(pl.col("datetime_utc") + pl.duration(hours=1))
        .alias(PUBLISHED)
    )
    restated = plain.filter(number % 10 == 7).with_columns(
        pl.col("energy_consumption") + 5, pl.col(PUBLISHED) + pl.duration(days=3)
    )
    again = restated.filter(number % 2 == 1).with_columns(
        pl.col("energy_consumption") * 2, pl.col(PUBLISHED) + pl.duration(days=700)
    )
    return pl.concat([plain, restated, again])


def published(versions: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The oracle: for each key, the newest version that has been published."""
    out = versions.filter(pl.col(PUBLISHED) <= now)
    key = ["area", "consumer_type", "datetime_utc"]
    newest = out.filter(pl.col(PUBLISHED) == pl.col(PUBLISHED).max().over(key))
    return newest.drop(PUBLISHED).sort(key)


def test_reads_as_of_every_reference_time_are_what_the_source_had_published(
    versions: pl.DataFrame, settings: Settings
) -> None:
    times = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=4), FIRST + timedelta(days=800)]
    with EnergiDataService({DATASET: api_rows(versions)}) as api:
        # Runs in another order than time, one of them twice, and on a bad day of the network.
        for place, days in ((2, 4), (0, 0), (3, 800), (1, 1), (0, 0)):
            api.now = times[place]
            api.faults = [faults.rate_limited(0), faults.truncated, faults.proper, faults.cut_off]
            url, delay = api.url(DATASET), days
            result = pipeline.run(times[place], delay, 1, url, settings=settings)
            assert result["conflicting"] == 0
    store = FeatureStore(settings)
    for time in times:
        found = store.read(dataset=DATASET, feature_group_version=1, window=WINDOW, reference_datetime=time)
        assert_frame_equal(found, published(versions, time))
    assert store.read(
        dataset=DATASET, feature_group_version=1, window=WINDOW, reference_datetime=times[3] - HOUR
    ).equals(published(versions, times[2]))


@pytest.fixture(scope="module")
def two_switches() -> Iterator[EnergiDataService]:
    """The days around both switches of 2023, as known much later."""
    spring = demo_rows(datetime(2023, 3, 24, tzinfo=UTC), datetime(2023, 3, 28, tzinfo=UTC))
    autumn = demo_rows(datetime(2023, 10, 27, tzinfo=UTC), datetime(2023, 10, 31, tzinfo=UTC))
    now = datetime(2024, 1, 1, tzinfo=UTC)
    with EnergiDataService({DATASET: pl.concat([spring(now), autumn(now)])}) as api:
        yield api


@hypothesis_settings(max_examples=20, deadline=None)
@given(
    base=st.sampled_from([datetime(2023, 3, 25, tzinfo=UTC), datetime(2023, 10, 28, tzinfo=UTC)]),
    first=st.integers(0, 40),
    hours=st.integers(1, 30),
)
def test_windows_across_both_switches_lose_double_and_shift_no_hour(
    base: datetime, first: int, hours: int, two_switches: EnergiDataService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = Settings(root_dir=tmp_path_factory.mktemp("root"), source_seconds_between_requests=0)
    window = Window(base + first * HOUR, base + (first + hours) * HOUR)
    extraction = extract(two_switches.url(DATASET), window, window.end, settings=settings)
    expected = demo.observations(window.start, window.end, known_at=datetime(2024, 1, 1, tzinfo=UTC))
    assert_frame_equal(transform(extraction.frame), expected)
    assert extraction.warnings == ()
