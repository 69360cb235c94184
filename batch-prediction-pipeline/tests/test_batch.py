import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import deltalake
import polars as pl
import pytest

from batch_prediction_pipeline import batch
from batch_prediction_pipeline.monitoring import watch
from feature_pipeline import demo
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, StorageError, TrackingError, WindowError
from forecast_core.contracts.schema import FORECASTS, HOUR, KEY
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.digests import of_frame
from forecast_core.provenance.find import find_run
from forecast_core.tables import delta

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)
FIRST_HOUR = datetime(2023, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def given(system: Any, register: Any) -> dict[str, Any]:
    """The arguments that a DAG has after training at ``REFERENCE``."""
    made = system.ingest(REFERENCE)
    return {"model_version": register(made.pop("training_dataset_version"), at=REFERENCE), **made}


def _archived(system: Any) -> Any:
    return ForecastArchive(system.settings).read(feature_view_version=1)


def test_every_series_has_a_forecast_for_every_hour_with_what_made_it(system: Any, given: dict[str, Any]) -> None:
    result = batch.predict(24, **given, settings=system.settings)
    archived = _archived(system)
    assert archived.schema == FORECASTS
    assert (result["rows"], result["series"], result["hours"]) == (72, 3, 24) == (archived.height, 3, 24)
    assert result["reference_datetime"] == "2023-02-01 12:00"
    assert (result["first_hour"], result["last_hour"]) == ("2023-01-31 12:00", "2023-02-01 11:00")
    assert result["quality"] == {"model": 72}
    provenance = archived.select("reference_datetime", "model_version", "training_dataset_version").unique().rows()
    assert provenance == [(REFERENCE, given["model_version"], 1)]
    assert json.loads(json.dumps(result)) == result


def test_the_sample_is_the_first_hours_of_the_largest_series(system: Any, given: dict[str, Any]) -> None:
    sample = batch.predict(**given, settings=system.settings)["sample"]
    assert [row["datetime_utc"] for row in sample[:3]] == ["2023-01-31 12:00", "2023-01-31 13:00", "2023-01-31 14:00"]
    means = _archived(system).group_by("consumer_type").agg(pl.col("energy_consumption").mean())
    sizes = means.sort("energy_consumption", descending=True)
    assert [row["consumer_type"] for row in sample[::3]] == sizes["consumer_type"].to_list()
    assert all(row["q10"] <= row["energy_consumption"] <= row["q90"] for row in sample)


def test_predicting_twice_leaves_the_archive_as_it_was(system: Any, given: dict[str, Any]) -> None:
    first, before = batch.predict(**given, settings=system.settings), _archived(system)
    files = sorted(path.name for path in (system.settings.root / "store" / "forecasts").rglob("*.json"))
    assert batch.predict(**given, settings=system.settings) == first
    assert _archived(system).equals(before)
    assert sorted(path.name for path in (system.settings.root / "store" / "forecasts").rglob("*.json")) == files


def test_times_may_be_naive_or_text_and_versions_text(system: Any, given: dict[str, Any]) -> None:
    as_text = batch.predict("24", "1", str(given["model_version"]), **_times(given), settings=system.settings)
    naive: dict[str, Any] = {name: datetime.strptime(value, "%Y-%m-%d %H:%M") for name, value in _times(given).items()}  # noqa: DTZ007  -- as users' DAGs give them
    assert batch.predict(24, 1, given["model_version"], **naive, settings=system.settings) == as_text


def _times(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("start_datetime", "end_datetime")}


def test_without_arguments_the_newest_model_and_ingest_are_used_and_named(system: Any, given: dict[str, Any]) -> None:
    result = batch.predict(settings=system.settings)
    assert result == batch.predict(**given, settings=system.settings)


def test_the_reference_is_that_of_the_ingest_of_this_window_not_the_newest(system: Any, given: dict[str, Any]) -> None:
    system.ingest(REFERENCE + timedelta(hours=3))
    assert batch.predict(**given, settings=system.settings)["reference_datetime"] == "2023-02-01 12:00"


def test_a_forecast_sees_no_observation_that_became_known_later(system: Any, given: dict[str, Any]) -> None:
    alone = batch.predict(**given, settings=system.settings)
    before = _archived(system)
    # The same hours as a month later: missing values have come, wrong ones were restated.
    window = {name: datetime.fromisoformat(value).replace(tzinfo=UTC) for name, value in _times(given).items()}
    system.ingest_window(window["start_datetime"], window["end_datetime"], known_at=REFERENCE + timedelta(days=45))
    again = batch.predict(**given, reference_datetime=REFERENCE, settings=system.settings)
    assert again == alone
    assert _archived(system).equals(before)


def test_a_model_version_that_does_not_exist_is_an_error_that_names_those_that_do(
    system: Any, given: dict[str, Any]
) -> None:
    with pytest.raises(NotFoundError, match="no model version 99; registered: 1 "):
        batch.predict(**{**given, "model_version": 99}, settings=system.settings)
    with pytest.raises(NotFoundError, match=r"no feature view version 99; there are \[1\]"):
        batch.predict(**{**given, "feature_view_version": 99}, settings=system.settings)


def test_with_no_model_at_all_training_is_asked_for(system: Any) -> None:
    with pytest.raises(NotFoundError, match="there is no model yet: run training_pipeline"):
        batch.predict(settings=system.settings)


def test_a_window_of_which_nothing_is_known_names_the_one_that_is(system: Any, given: dict[str, Any]) -> None:
    past = {"start_datetime": "2022-01-01 00:00", "end_datetime": "2022-01-31 00:00"}
    with pytest.raises(WindowError, match=r"has no value from 2022-01-01 00:00 .* up to 2023-01-31 12:00"):
        batch.predict(**{**given, **past}, settings=system.settings)
    assert _archived(system).is_empty()


@pytest.mark.parametrize(
    "argument", [{"fh": "soon"}, {"fh": 25}, {"start_datetime": "tomorrow"}, {"model_version": "latest"}]
)
def test_arguments_that_cannot_be_used_are_refused(
    system: Any, given: dict[str, Any], argument: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        batch.predict(**{**given, **argument}, settings=system.settings)
    assert _archived(system).is_empty()


def test_a_locked_tracking_database_is_a_tracking_error(system: Any, given: dict[str, Any]) -> None:
    database = system.settings.root / "mlflow.db"
    hasty = system.settings.model_copy(update={"tracking_uri": f"sqlite:///{database}?timeout=0.1"})
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="database is locked"):
            batch.predict(**given, settings=hasty)


def test_what_drove_each_forecast_is_archived_with_it_and_sums_to_it(system: Any, given: dict[str, Any]) -> None:
    batch.predict(**given, settings=system.settings)
    archive = ForecastArchive(system.settings)
    reasons = archive.read_explanations(feature_view_version=1, reference_datetime=REFERENCE)
    sums = reasons.filter(kind="member").group_by(KEY).agg(pl.col("value").sum())
    both = archive.read(feature_view_version=1).join(sums, on=KEY)
    assert both.height == 72
    assert both["value"].to_numpy() == pytest.approx(both["energy_consumption"].to_numpy(), abs=0.01)


def test_a_model_of_a_late_source_forecasts_from_the_reference_time_on(system: Any, register: Any) -> None:
    made = system.ingest(REFERENCE, days=30)
    model = register(made.pop("training_dataset_version"), at=REFERENCE, gap=24)
    given = {**made, "model_version": model, "settings": system.settings, "reference_datetime": REFERENCE}
    result = batch.predict(**given, forecast_from="reference_time")
    assert (result["first_hour"], result["last_hour"]) == ("2023-02-01 12:00", "2023-02-02 11:00")
    assert result["quality"] == {"model": 72}
    assert batch.predict(**given) == result
    with pytest.raises(InvalidArgument, match="24 hours after the last observation on, but last_observation is 0"):
        batch.predict(**given, forecast_from="last_observation")
    with pytest.raises(InvalidArgument, match="reference_time is 25 hours after 2023-01-31 12:00"):
        batch.predict(**{**given, "reference_datetime": REFERENCE + timedelta(hours=1)})


def _run_key() -> dict[str, Any]:
    return {"feature_view_version": 1, "reference_datetime": REFERENCE}


def test_forecasts_that_are_all_zero_have_an_empty_explanation(system: Any, register: Any) -> None:
    window = Window.before(REFERENCE, days_delay=1, days_export=16)
    store = FeatureStore(system.settings)
    group: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
    silent = demo.observations(window.start, window.end, known_at=REFERENCE).filter(pl.col("consumer_type") == "111")
    silent = silent.with_columns(energy_consumption=pl.lit(0.0))
    store.ingest(silent, **group, window=window, reference_datetime=REFERENCE, url="demo://denmark", record={})
    view = store.create_feature_view(**group)
    dataset = store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=REFERENCE)
    model = register(dataset.version, at=REFERENCE)
    result = batch.predict(model_version=model, settings=system.settings)
    assert _archived(system)["energy_consumption"].unique().to_list() == [0.0]
    archive = ForecastArchive(system.settings)
    assert archive.read_explanations(**_run_key()).is_empty()
    assert archive.read_runs().height == 1
    assert batch.predict(model_version=model, settings=system.settings) == result


WRITES = ("write_run", "write_explanations", "write")


class Killed(BaseException):
    """Stands for a kill: our code does not catch it."""


def _everything(system: Any) -> tuple[pl.DataFrame, ...]:
    archive = ForecastArchive(system.settings)
    return archive.read_runs(), archive.read(), archive.read_explanations(**_run_key())


@pytest.mark.parametrize("write", WRITES)
def test_a_run_that_is_killed_between_two_writes_does_not_exist_until_it_is_run_again(
    system: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ForecastArchive, write, kill)
        with pytest.raises(Killed):
            batch.predict(**given, settings=system.settings)
    assert _archived(system).is_empty()
    assert ForecastArchive(system.settings).read_runs().is_empty()
    with pytest.raises(NotFoundError, match="no forecasts were made at 2023-02-01 12:00"):
        find_run(system.settings, reference_datetime=REFERENCE)
    assert watch.check(REFERENCE + 3 * HOUR, settings=system.settings)["due"][0]["kind"] == "forecast"
    batch.predict(**given, settings=system.settings)
    runs, forecasts, explanations = _everything(system)
    assert (runs.height, forecasts.height) == (1, 72)
    assert runs["forecasts_hash"].to_list() == [of_frame(forecasts)]
    assert explanations.select(KEY).n_unique() == 72


@pytest.mark.parametrize("write", WRITES)
def test_a_run_of_another_model_that_is_killed_is_never_read_as_a_mixture(
    system: Any, given: dict[str, Any], register: Any, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    batch.predict(**given, settings=system.settings)
    before = _everything(system)
    other = given | {"model_version": register(1, at=REFERENCE)}

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ForecastArchive, write, kill)
        with pytest.raises(Killed):
            batch.predict(**other, settings=system.settings)
    runs, forecasts, explanations = _everything(system)
    assert runs.is_empty() or all(kept.equals(was) for kept, was in zip((runs, explanations), before[::2], strict=True))
    assert forecasts.equals(before[1])
    batch.predict(**other, settings=system.settings)
    assert ForecastArchive(system.settings).read_runs()["model_version"].to_list() == [other["model_version"]]


@pytest.mark.parametrize("table", ["forecast_runs", "forecast_explanations", "forecasts"])
def test_a_full_disk_is_an_error_that_may_heal_and_leaves_no_run(
    system: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    real = deltalake.write_deltalake

    def full(target: Any, *arguments: Any, **options: Any) -> None:
        if target.table_uri.rstrip("/").endswith(f"/{table}"):
            raise OSError(28, "No space left on device")
        real(target, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(delta, "write_deltalake", full)
        with pytest.raises(StorageError, match=r"the disk that holds .* is full"):
            batch.predict(**given, settings=system.settings)
    assert _archived(system).is_empty()
    assert ForecastArchive(system.settings).read_runs().is_empty()
    batch.predict(**given, settings=system.settings)
    assert ForecastArchive(system.settings).read_runs().height == 1
