"""Forecasts over HTTP are what the archive has."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from app_api.models import Page, SeriesForecast
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import FORECASTS, KEY
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

REFERENCE, DAY = datetime(2024, 3, 31, 5, tzinfo=UTC), timedelta(days=1)

ONE = "/api/v1/forecasts/DK1/111"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


def archived(filled: Any, reference: Any = REFERENCE, **filters: str) -> pl.DataFrame:
    rows = ForecastArchive(filled.settings).read(reference_from=reference)
    return rows.filter(pl.col("reference_datetime") == reference, **filters)


def hours(body: dict[str, Any]) -> pl.DataFrame:
    """The rows of FORECASTS that an answer has."""
    answer = SeriesForecast.model_validate(body)
    facts = answer.model_dump(exclude={"forecast", "observations", "previous", "unit", "not_taken"})
    return pl.DataFrame([facts | each.model_dump() for each in answer.forecast], schema=FORECASTS)


def test_the_latest_forecast_of_a_series_is_the_archived_one_to_the_last_digit(api: Any, filled: Any) -> None:
    body = api.get(ONE).json()
    assert hours(body).equals(archived(filled, area="DK1", consumer_type="111"))
    assert body["forecast"][0]["datetime_utc"] == "2024-03-30T05:00:00Z"
    assert len(body["forecast"]) == 24


def test_a_forecast_is_had_as_it_was_made_at_a_reference_time(api: Any, filled: Any) -> None:
    earlier = REFERENCE - 2 * DAY
    body = api.get(ONE, params={"reference_datetime": earlier.isoformat()}).json()
    assert hours(body).equals(archived(filled, earlier, area="DK1", consumer_type="111"))


def test_all_series_come_in_pages_that_make_up_the_run(api: Any, filled: Any) -> None:
    found, path = [], "/api/v1/forecasts?limit=4"
    while path:
        answer = api.get(path)
        page = Page[SeriesForecast].model_validate(answer.json())
        assert answer.headers["X-Total-Count"] == "6"
        assert answer.headers.get("Link") == (f'<{page.next}>; rel="next"' if page.next else None)
        found += [hours(each) for each in answer.json()["items"]]
        path = page.next or ""
    assert pl.concat(found).equals(archived(filled))


@pytest.mark.parametrize(("media", "read"), [(ARROW, pl.read_ipc_stream), (PARQUET, pl.read_parquet)])
@pytest.mark.parametrize("reference", [REFERENCE, REFERENCE - DAY])
def test_arrow_and_parquet_are_the_archives_rows(api: Any, filled: Any, media: str, read: Any, reference: Any) -> None:
    answer = api.get("/api/v1/forecasts", headers={"Accept": media}, params={"reference_datetime": str(reference)})
    assert answer.headers["content-type"] == media
    assert read(io.BytesIO(answer.content)).equals(archived(filled, reference))


def test_csv_is_the_archives_rows_with_times_in_iso_8601(api: Any, filled: Any) -> None:
    answer = api.get(ONE, headers={"Accept": "text/csv"})
    assert answer.text.splitlines()[0] == ",".join(FORECASTS.names())
    schema = {**FORECASTS, "reference_datetime": pl.String(), "datetime_utc": pl.String()}
    read = pl.read_csv(io.StringIO(answer.text), schema=schema)
    texts = read.with_columns(pl.col("reference_datetime", "datetime_utc").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"))
    times = texts.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
    assert times.equals(archived(filled, area="DK1", consumer_type="111"))


def test_observations_stand_beside_a_forecast_when_they_are_asked_for(api: Any, filled: Any) -> None:
    earlier = REFERENCE - DAY
    asked = {"reference_datetime": earlier.isoformat(), "history_hours": 48}
    observed = FeatureStore(filled.settings).read(
        dataset="demo-denmark",
        feature_group_version=1,
        window=Window(earlier - 3 * DAY, earlier),
        reference_datetime=REFERENCE,
        series=[("DK1", "111")],
    )
    body = SeriesForecast.model_validate(api.get(ONE, params=asked).json())
    assert [each.model_dump() for each in body.observations or []] == observed.drop("area", "consumer_type").to_dicts()
    table = pl.read_parquet(io.BytesIO(api.get(ONE, params=asked, headers={"Accept": PARQUET}).content))
    assert table.select(*KEY, energy_consumption="observed").drop_nulls().equals(observed)
    assert (
        table.select(FORECASTS.names()).drop_nulls().equals(archived(filled, earlier, area="DK1", consumer_type="111"))
    )


def test_the_forecast_made_a_day_before_comes_in_the_same_answer(api: Any, filled: Any) -> None:
    body = api.get(ONE, params={"previous_hours": 24}).json()
    assert hours(body["previous"]).equals(archived(filled, REFERENCE - DAY, area="DK1", consumer_type="111"))
    assert api.get(ONE, params={"previous_hours": 23}).json()["previous"] is None


def test_an_explanation_has_the_parts_of_every_hour(api: Any) -> None:
    forecast = api.get(ONE).json()["forecast"]
    explained = api.get(f"{ONE}/explanation").json()["hours"]
    assert [each["datetime_utc"] for each in explained] == [each["datetime_utc"] for each in forecast]
    for hour, parts in zip(forecast, explained, strict=True):
        assert sum(part["value"] for part in parts["members"]) == pytest.approx(hour["energy_consumption"])
        assert [part["name"] for part in parts["features"]] == ["calendar"]


@pytest.mark.parametrize(
    ("path", "detail", "allowed"),
    [
        ("/forecasts/DK3/111", "there is no price area 'DK3'; there are DK1, DK2", ["DK1", "DK2"]),
        ("/forecasts/DK1/9", "DK1 has no consumer type '9'; it has 111, 121, 215", ["111", "121", "215"]),
        ("/forecasts?area=SE4", "there is no price area 'SE4'; there are DK1, DK2", ["DK1", "DK2"]),
        ("/forecasts?feature_view_version=7", "feature view 7 has no forecasts; those that have: 1", ["1"]),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(api: Any, path: str, detail: str, allowed: list[str]) -> None:
    answer = api.get(f"/api/v1{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (answer.json()["detail"], answer.json()["allowed"]) == (detail, allowed)


def test_a_reference_time_without_a_run_is_refused_with_the_span_of_those_that_there_are(api: Any) -> None:
    answer = api.get(ONE, params={"reference_datetime": "2023-01-01T00:00:00Z"})
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("no forecasts of feature view 1 were made at 2023-01-01 00:00; runs were")
    assert answer.json()["allowed"] == ["2024-03-28T05:00:00Z", "2024-03-31T05:00:00Z"]


def test_a_series_that_an_earlier_run_does_not_have_is_refused_with_those_that_it_has(own: Any, serve: Any) -> None:
    few = own.history(REFERENCE - DAY).filter(pl.col("area") == "DK2")
    quantiles = dict.fromkeys(("q05", "q10", "q50", "q90", "q95"), pl.col("energy_consumption"))
    own.archive(REFERENCE - DAY, few.with_columns(**quantiles, quality=pl.lit("model")))
    with serve(own.settings) as client:
        answer = client.get(ONE, params={"reference_datetime": (REFERENCE - DAY).isoformat()})
    assert (answer.status_code, answer.json()["allowed"]) == (404, ["DK2"])


def test_corrected_values_that_a_repeated_run_did_not_take_are_told_beside_its_forecasts(own: Any, serve: Any) -> None:
    """A rerun keeps what is stored; who reads its forecasts must see that they lack the correction."""
    with serve(own.settings) as api:
        before = api.get(ONE)
        assert "not_taken" not in before.json()
        assert {run["not_taken"] for run in api.get("/api/v1/runs").json()["items"]} == {0}
    store = FeatureStore(own.settings)
    store.ingest(
        own.history(REFERENCE).with_columns(
            pl.when(pl.int_range(pl.len()) < 48).then(1.0).otherwise("energy_consumption").alias("energy_consumption")
        ),
        dataset=store.feature_view(1).dataset,
        feature_group_version=1,
        window=Window.before(REFERENCE, days_delay=1, days_export=8),
        reference_datetime=REFERENCE,
        url="test",
        record={},
    )
    with serve(own.settings) as api:
        after = api.get(ONE, headers={"If-None-Match": before.headers["ETag"]})
        assert (after.status_code, after.json()["not_taken"]) == (200, 48)
        assert after.json()["forecast"] == before.json()["forecast"]
        assert api.get(ONE, headers={"If-None-Match": after.headers["ETag"]}).status_code == 304
        assert api.get(ONE).json()["not_taken"] == 48
        assert api.get("/api/v1/forecasts").json()["items"][0]["not_taken"] == 48
        assert [run["not_taken"] for run in api.get("/api/v1/runs").json()["items"]] == [48, 0, 0, 0]
