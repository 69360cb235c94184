"""What the course's front ends show: forecasts of all runs beside what came, and metrics of every hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import METRICS

V1 = "/api/v1"
REFERENCE, DAY = datetime(2024, 3, 31, 5, tzinfo=UTC), timedelta(days=1)
ARCHIVE = f"{V1}/forecasts/DK1/111/archive"


def archive(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get(ARCHIVE, params=query).raise_for_status().json()["forecasts"]
    return rows


def test_one_call_gives_the_forecasts_of_all_runs_beside_what_came(api: httpx.Client) -> None:
    found = archive(api)
    # The end of the newest ingest is 2024-03-30T05; the last run's forecasts are of the day after it.
    assert {each["reference_datetime"] for each in found} == {f"2024-03-{day}T05:00:00Z" for day in (28, 29, 30)}
    observed = api.get(f"{V1}/observations/DK1/111").json()["observations"]
    values = {each["datetime_utc"]: each["energy_consumption"] for each in observed}
    assert {each["datetime_utc"]: each["observed"] for each in found} == {
        each["datetime_utc"]: values.get(each["datetime_utc"]) for each in found
    }
    one = api.get(f"{V1}/forecasts/DK1/111", params={"reference_datetime": "2024-03-30T05:00Z"}).json()["forecast"]
    of_run = [each for each in found if each["reference_datetime"] == "2024-03-30T05:00:00Z"]
    assert [each["energy_consumption"] for each in of_run] == [each["energy_consumption"] for each in one]


def test_hours_that_have_not_come_yet_have_no_observation_and_no_hours_have_no_rows(api: httpx.Client) -> None:
    ahead = archive(api, start="2024-03-30T05:00Z", end="2024-03-31T05:00Z")
    assert [each["observed"] for each in ahead] == [None] * 24
    assert archive(api, start="2024-03-30T05:00Z", end="2024-03-30T05:00Z") == []
    assert archive(api, start="2020-01-01T00:00Z", end="2020-01-02T00:00Z") == []


def test_an_hour_that_several_runs_forecast_has_a_row_of_each_or_of_the_last(own: Any, serve: Any) -> None:
    own.ingest(REFERENCE + timedelta(hours=6))
    own.predict(REFERENCE + timedelta(hours=6), shift=1.0)
    with serve(own.settings) as client:
        span = {"start": "2024-03-30T11:00Z", "end": "2024-03-30T12:00Z"}
        times = ["2024-03-31T05:00:00Z", "2024-03-31T11:00:00Z"]
        assert [each["reference_datetime"] for each in archive(client, **span)] == times
        assert [each["reference_datetime"] for each in archive(client, **span, last_run_only=True)] == times[1:]


def test_a_long_span_leads_to_its_later_hours(api: httpx.Client) -> None:
    whole = archive(api, start="2024-03-01T00:00Z", end="2024-03-31T05:00Z")
    following, pages = f"{ARCHIVE}?start=2024-01-01T00:00Z&end=2024-03-31T05:00Z", 0
    found: list[Any] = []
    while following:
        answer = api.get(following)
        assert (answer.links.get("next") is not None) == (answer.json()["next"] is not None)
        found, following, pages = found + answer.json()["forecasts"], answer.json()["next"], pages + 1
    assert (pages, found) == (3, whole)


def test_a_series_that_there_is_not_is_named_with_those_that_there_are(api: httpx.Client) -> None:
    for query in ({}, {"start": "2024-03-30T05:00Z", "end": "2024-03-30T05:00Z"}):
        answer = api.get(f"{V1}/forecasts/DK1/999/archive", params=query)
        assert answer.status_code == 404
        assert answer.json()["allowed"] == ["111", "121", "215"]


def test_the_mape_of_every_hour_comes_in_one_call_each_hour_once_as_computed_last(own: Any, serve: Any) -> None:
    store = ForecastArchive(own.settings)
    for back in (3, 2, 1, 0):
        reference = REFERENCE - back * DAY
        hours = [reference - DAY - timedelta(hours=hour) for hour in range(168)]
        rows: list[tuple[Any, ...]]
        rows = [(reference, 1, "hour", None, None, hour, None, 7, "mape", 0.1 * back, 6) for hour in hours]
        rows.append((reference, 1, "overall", None, None, None, None, 7, "mape", 0.5, 6))
        store.write_metrics(pl.DataFrame(rows, schema=METRICS, orient="row"))
    with serve(own.settings) as client:
        page = client.get(f"{V1}/monitoring/hours", params={"metric": "mape"}).raise_for_status().json()
        assert page["total"] == len(page["items"]) == 168 + 3 * 24
        times = [each["datetime_utc"] for each in page["items"]]
        assert times == sorted(set(times))
        assert page["items"][-1]["value"] == 0.0
        assert page["items"][0]["value"] == pytest.approx(0.3)
        part = client.get(f"{V1}/monitoring/hours", params={"start": "2024-03-29T00:00Z", "end": "2024-03-29T06:00Z"})
        assert [each["datetime_utc"][8:13] for each in part.json()["items"]] == [f"29T{hour:02}" for hour in range(6)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/area_values", "/areas"),
        ("/consumer_type_values", "/consumer-types"),
        ("/predictions/1/111", "/forecasts/DK1/111?history_hours=168"),
        ("/predictions/2/121", "/forecasts/DK2/121?history_hours=168"),
        ("/monitoring/metrics", "/monitoring/hours?metric=mape"),
        ("/monitoring/values/1/215", "/forecasts/DK1/215/archive?last_run_only=true"),
    ],
)
def test_an_address_of_the_course_names_the_new_one_which_answers(api: httpx.Client, old: str, new: str) -> None:
    answer = api.get(V1 + old)
    assert (answer.status_code, answer.json()["allowed"]) == (410, [V1 + new])
    assert f"ask for {V1}{new}" in answer.json()["detail"]
    assert answer.headers["link"] == f'<{V1}{new}>; rel="successor-version"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.get(V1 + new).is_success


def test_a_strange_part_of_an_old_address_stays_one_part_of_the_new_one(api: httpx.Client) -> None:
    allowed = api.get(f"{V1}/predictions/%3Fa%3D1/x%20y").json()["allowed"]
    assert allowed == [f"{V1}/forecasts/%3Fa%3D1/x%20y?history_hours=168"]
