"""The forecast archive: one run is replaced as a whole, and nothing else with it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from forecast_core import stores
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import EXPLANATIONS, FORECASTS, HOUR, METRICS, QUANTILES, RUNS, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

REFERENCE = datetime(2023, 1, 31, 22, tzinfo=UTC)


def forecasts(
    *, reference: datetime = REFERENCE, value: float = 1.0, view: int = 1, model: int = 1, hours: int = 24
) -> pl.DataFrame:
    keys = [(area, kind, reference + lead * HOUR) for area in ("DK1", "DK2") for kind in "ab" for lead in range(hours)]
    frame = pl.DataFrame(
        keys, schema={"area": pl.String, "consumer_type": pl.String, "datetime_utc": UTC_HOUR}, orient="row"
    )
    versions = {"feature_view_version": view, "training_dataset_version": 1, "model_version": model}
    return frame.with_columns(
        pl.lit(reference, UTC_HOUR).alias("reference_datetime"),
        pl.lit(value).alias("energy_consumption"),
        *(pl.lit(value + probability).alias(name) for name, probability in QUANTILES.items()),
        *(pl.lit(number, pl.Int64).alias(name) for name, number in versions.items()),
        pl.lit("model").alias("quality"),
    ).select(FORECASTS.names())


def metrics(*, reference: datetime = REFERENCE, value: float | None = 0.1) -> pl.DataFrame:
    rows = [
        (reference, 1, "overall", None, None, None, None, 7, "wape", value, 96),
        (reference, 1, "series", "DK1", "111", None, None, 7, "wape", 0.2, 24),
        (reference, 1, "hour", None, None, reference, None, 7, "wape", 0.3, 4),
    ]
    return pl.DataFrame(rows, schema=METRICS, orient="row")


@pytest.fixture
def archive(tmp_path: Path) -> ForecastArchive:
    return ForecastArchive(Settings(root_dir=tmp_path))


def version(root: Path, name: str = "forecasts") -> int:
    return DeltaTable(str(root / "store" / name)).version()


def test_what_was_archived_is_read_sorted_and_nothing_before_that(archive: ForecastArchive) -> None:
    assert archive.read(feature_view_version=1).equals(pl.DataFrame(schema=FORECASTS))
    assert archive.write(forecasts().reverse()) == 96
    assert archive.read(feature_view_version=1).equals(forecasts())


def test_a_run_replaces_exactly_its_own_rows(archive: ForecastArchive) -> None:
    others = [forecasts(reference=REFERENCE + HOUR), forecasts(view=2)]
    for frame in (forecasts(), *others, forecasts(value=2.0, model=2, hours=12)):
        archive.write(frame)
    expected = pl.concat([forecasts(value=2.0, model=2, hours=12), others[0]])
    assert archive.read(feature_view_version=1).equals(expected)
    assert archive.read(feature_view_version=2).equals(others[1])


def test_the_same_forecasts_again_commit_nothing(archive: ForecastArchive, tmp_path: Path) -> None:
    archive.write(forecasts())
    before = version(tmp_path)
    assert archive.write(forecasts().reverse()) == 96
    assert version(tmp_path) == before


def test_reference_and_target_ranges_are_left_closed(archive: ForecastArchive) -> None:
    runs = [REFERENCE + step * HOUR for step in range(4)]
    for reference in runs:
        archive.write(forecasts(reference=reference))
    some = archive.read(feature_view_version=1, reference_from=runs[1], reference_until=runs[3])
    assert some["reference_datetime"].unique().sort().to_list() == runs[1:3]
    target = Window(runs[2], runs[3])
    hits = archive.read(feature_view_version=1, target=target)
    assert hits["datetime_utc"].unique().to_list() == [runs[2]]
    assert hits["reference_datetime"].unique().sort().to_list() == runs[:3]


def test_writers_of_different_runs_in_parallel_lose_nothing(archive: ForecastArchive) -> None:
    frames = [forecasts(reference=REFERENCE + step * HOUR) for step in range(8)]
    with ThreadPoolExecutor(4) as threads:
        # The table does not exist yet, and each run is written twice.
        list(threads.map(archive.write, frames + frames))
    assert archive.read(feature_view_version=1).equals(pl.concat(frames))


def test_a_reader_sees_a_run_as_it_was_before_or_after_a_write(archive: ForecastArchive) -> None:
    archive.write(forecasts(value=0.0))
    seen = set()
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(lambda: [archive.write(forecasts(value=float(value))) for value in range(1, 25)])
        while not writing.done():
            frame = archive.read(feature_view_version=1)
            assert frame.height == 96
            (value,) = frame["energy_consumption"].unique()
            seen.add(value)
        writing.result()
    assert len(seen) > 1


BAD: dict[str, tuple[pl.DataFrame, str]] = {
    "two runs": (pl.concat([forecasts(), forecasts(view=2)]), "exactly one run"),
    "no rows": (forecasts().clear(), "exactly one run"),
    "NaN": (forecasts(value=float("nan")), "finite"),
    "missing": (forecasts().with_columns(pl.lit(None, pl.String).alias("quality")), "quality"),
    "duplicates": (pl.concat([forecasts(), forecasts(value=2.0)]), "share their key"),
    "columns": (forecasts().drop("quality"), "expected the columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_frame_that_is_not_one_clean_run_is_refused(archive: ForecastArchive, tmp_path: Path, case: str) -> None:
    frame, message = BAD[case]
    with pytest.raises(InvalidArgument, match=message):
        archive.write(frame)
    assert not list(tmp_path.iterdir())


def test_metrics_are_kept_and_replaced_run_by_run(archive: ForecastArchive, tmp_path: Path) -> None:
    stores.create(Settings(root_dir=tmp_path))
    later = metrics(reference=REFERENCE + timedelta(days=1), value=None)
    for frame in (metrics(), later, metrics(value=0.5), metrics(value=0.5)):
        assert archive.write_metrics(frame) == 3
    assert version(tmp_path, "monitoring") == 3
    history = archive.read_metrics(feature_view_version=1)
    overall: list[Any] = history.filter(pl.col("level") == "overall")["value"].to_list()
    assert overall == [0.5, None]
    assert archive.read_metrics(feature_view_version=1, reference_from=REFERENCE + HOUR).height == 3


def test_a_metric_that_comes_twice_is_refused(archive: ForecastArchive) -> None:
    with pytest.raises(InvalidArgument, match="share their key"):
        archive.write_metrics(pl.concat([metrics(), metrics(value=0.2)]))


def explanations(*, reference: datetime = REFERENCE, value: float = 1.0, kinds: tuple[str, ...] = ("a", "b")) -> Any:
    rows = [
        (reference, 1, "DK1", kind, reference + lead * HOUR, "member", name, value + lead)
        for kind in kinds
        for lead in range(3)
        for name in ("ridge", "trees")
    ]
    return pl.DataFrame(rows, schema=EXPLANATIONS, orient="row")


def test_explanations_of_a_run_are_read_whole_or_by_series_and_replaced_as_a_whole(archive: ForecastArchive) -> None:
    run: dict[str, Any] = {"feature_view_version": 1, "reference_datetime": REFERENCE}
    assert archive.read_explanations(**run).equals(pl.DataFrame(schema=EXPLANATIONS))
    assert archive.write_explanations(explanations().reverse(), **run) == 12
    later = run | {"reference_datetime": REFERENCE + HOUR}
    archive.write_explanations(explanations(reference=REFERENCE + HOUR, value=9.0), **later)
    assert archive.read_explanations(**run).equals(explanations())
    one = archive.read_explanations(**run, area="DK1", consumer_type="b")
    assert one.equals(explanations(kinds=("b",)))
    archive.write_explanations(explanations(kinds=("a",), value=5.0), **run)
    assert archive.read_explanations(**run).equals(explanations(kinds=("a",), value=5.0))
    assert archive.read_explanations(feature_view_version=2, reference_datetime=REFERENCE).is_empty()


def test_an_empty_explanation_takes_the_place_of_the_one_before(archive: ForecastArchive, tmp_path: Path) -> None:
    run: dict[str, Any] = {"feature_view_version": 1, "reference_datetime": REFERENCE}
    none = pl.DataFrame(schema=EXPLANATIONS)
    assert archive.write_explanations(none, **run) == 0
    archive.write_explanations(explanations(), **run)
    later = explanations(reference=REFERENCE + HOUR)
    archive.write_explanations(later, **run | {"reference_datetime": REFERENCE + HOUR})
    for _ in range(2):
        assert archive.write_explanations(none, **run) == 0
        assert archive.read_explanations(**run).is_empty()
        assert version(tmp_path, "forecast_explanations") == 3
    assert archive.read_explanations(**run | {"reference_datetime": REFERENCE + HOUR}).equals(later)


def test_explanations_must_be_numbers_and_of_the_run_that_is_named(archive: ForecastArchive) -> None:
    with pytest.raises(InvalidArgument, match="value"):
        archive.write_explanations(
            explanations(value=float("nan")), feature_view_version=1, reference_datetime=REFERENCE
        )
    with pytest.raises(InvalidArgument, match="expected the rows of the run"):
        archive.write_explanations(explanations(), feature_view_version=2, reference_datetime=REFERENCE)


def facts(**values: object) -> pl.DataFrame:
    """RUNS of ``forecasts()``."""
    row = {
        "reference_datetime": REFERENCE,
        **dict.fromkeys(("feature_view_version", "training_dataset_version", "model_version"), 1),
        "fh": 24,
        "window_start": REFERENCE - 48 * HOUR,
        "window_end": REFERENCE,
        "history_rows": 48,
        "history_series": 1,
        "history_hash": "a",
        "forecasts": 96,
        "forecasts_hash": "b",
        "made_by": "{}",
    }
    return pl.DataFrame([row | values], schema=RUNS)


def test_a_run_exists_from_the_commit_of_its_forecasts_on(archive: ForecastArchive) -> None:
    archive.write_run(facts())
    assert archive.read_runs().is_empty()
    archive.write(forecasts())
    assert archive.read_runs().equals(facts())
    # The next hour's run, and another model's in the place of the first: their rows are written, their forecasts not.
    archive.write_run(facts(reference_datetime=REFERENCE + HOUR))
    assert archive.read_runs().equals(facts())
    archive.write_run(facts(model_version=2))
    assert archive.read_runs().is_empty()
    archive.write(forecasts(model=2))
    assert archive.read_runs().equals(facts(model_version=2))
    archive.write_run(facts(forecasts=95, model_version=2))
    assert archive.read_runs().is_empty()


def test_runs_that_are_known_are_returned_again_without_looking_for_their_forecasts(archive: ForecastArchive) -> None:
    for hour in range(3):
        archive.write_run(facts(reference_datetime=REFERENCE + hour * HOUR))
    known = facts(reference_datetime=REFERENCE + HOUR)
    archive.write(forecasts(reference=REFERENCE + 2 * HOUR))
    assert archive.read_runs(known=known)["reference_datetime"].to_list() == [REFERENCE + HOUR, REFERENCE + 2 * HOUR]
    # Facts that changed since are not those that were known.
    other = facts(reference_datetime=REFERENCE + HOUR, model_version=3)
    archive.write_run(other)
    assert archive.read_runs(known=known)["reference_datetime"].to_list() == [REFERENCE + 2 * HOUR]
