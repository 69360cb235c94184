"""The fake of Energi Data Service follows the known contract of the API, for requests of any client."""

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import polars as pl
import pytest

from feature_pipeline import demo
from feature_pipeline.testing import EnergiDataService, api_rows, demo_rows, faults
from feature_pipeline.testing.published import PUBLISHED

NAME = "ConsumptionDE35Hour"
START = datetime(2023, 3, 25, tzinfo=UTC)
END = datetime(2023, 3, 27, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return api_rows(demo.observations(START, END, known_at=datetime(2024, 1, 1, tzinfo=UTC)))


@pytest.fixture
def api(rows: pl.DataFrame) -> Iterator[EnergiDataService]:
    with EnergiDataService({NAME: rows}) as service:
        yield service


def ask(api: EnergiDataService, **query: Any) -> list[dict[str, Any]]:
    return whole(api, **query)["records"]  # type: ignore[no-any-return]


def whole(api: EnergiDataService, **query: Any) -> dict[str, Any]:
    with urlopen(f"{api.url(NAME)}?{urlencode(query)}") as response:  # noqa: S310 - loopback.
        return json.load(response)  # type: ignore[no-any-return]


def refusal(api: EnergiDataService, **query: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(HTTPError) as caught:
        whole(api, **query)
    with caught.value as error:
        return error.code, json.load(error)


def test_without_start_and_end_the_newest_hundred_rows_come_first(api: EnergiDataService) -> None:
    answer = whole(api)
    assert list(answer) == ["total", "limit", "dataset", "records"]
    assert (answer["limit"], answer["dataset"], len(answer["records"])) == (100, NAME, 100)
    assert answer["records"][0]["HourUTC"] == "2023-03-26T23:00:00"
    assert list(answer["records"][0]) == ["HourUTC", "HourDK", "PriceArea", "ConsumerType_DE35", "TotalCon"]
    assert len(ask(api, start="2023-03-25")) > 100


def test_a_limit_of_nought_is_all_and_pages_make_up_the_whole(api: EnergiDataService, rows: pl.DataFrame) -> None:
    every = ask(api, limit=0)
    assert len(every) == rows.height
    pages = [ask(api, limit=1000, offset=offset) for offset in range(0, rows.height, 1000)]
    assert [row for page in pages for row in page] == every
    assert ask(api, limit=10, offset=rows.height) == []
    assert whole(api, limit=0)["total"] != rows.height


def test_a_page_cap_is_kept_and_said(rows: pl.DataFrame) -> None:
    with EnergiDataService({NAME: rows}, page_cap=50) as api:
        for query in ({}, {"limit": 0}, {"limit": 99}, {"start": "2023-03-25"}):
            answer = whole(api, **query)
            assert (answer["limit"], len(answer["records"])) == (50, 50)
        assert len(ask(api, limit=7)) == 7


def test_start_is_inclusive_and_end_exclusive_in_danish_time_unless_utc_is_asked_for(api: EnergiDataService) -> None:
    def hours(**query: Any) -> list[str]:
        return sorted({row["HourUTC"][8:13] for row in ask(api, **query)})

    assert hours(start="2023-03-25T10:00", end="2023-03-25T12:00", timezone="utc") == ["25T10", "25T11"]
    assert hours(start="2023-03-25T10:00", end="2023-03-25T12:00") == ["25T09", "25T10"]
    assert hours(start="2023-03-25T10:00", end="2023-03-25T12:00", timezone="dk") == ["25T09", "25T10"]
    # The local day that begins summer time has 23 hours; the day before has 24, from 23:00 UTC on.
    spring = hours(start="2023-03-26", end="2023-03-27")
    assert (len(spring), spring[0], spring[-1]) == (23, "25T23", "26T21")


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 26, 23), (10, 29, 25), (10, 30, 24)])
def test_a_local_day_has_the_hours_that_it_has(month: int, day: int, hours: int) -> None:
    noon = datetime(2023, month, day, 12, tzinfo=UTC)
    frame = demo_rows(noon - timedelta(days=2), noon + timedelta(days=2))
    with EnergiDataService({NAME: frame}, now=noon + timedelta(days=90)) as api:
        local = {"start": f"2023-{month:02}-{day:02}T00:00", "end": f"{noon + timedelta(days=1):%Y-%m-%dT00:00}"}
        found = ask(api, **local, filter='{"PriceArea": "DK1", "ConsumerType_DE35": "111"}', sort="HourUTC")
    assert len(found) == hours
    assert {row["HourDK"][:10] for row in found} == {f"2023-{month:02}-{day:02}"}
    assert len({row["HourUTC"] for row in found}) == hours
    assert len({row["HourDK"] for row in found}) == min(hours, 24)


def test_a_filter_is_equality_a_sort_takes_columns_and_columns_are_chosen(api: EnergiDataService) -> None:
    found = ask(
        api, limit=0, filter='{"PriceArea": ["DK2"], "ConsumerType_DE35": "999"}', sort="HourUTC,PriceArea desc"
    )
    assert {(row["PriceArea"], row["ConsumerType_DE35"]) for row in found} == {("DK2", "999")}
    assert [row["HourUTC"] for row in found] == sorted(row["HourUTC"] for row in found)
    (row,) = ask(api, limit=1, columns="TotalCon,HourUTC", sort="TotalCon desc")
    assert list(row) == ["TotalCon", "HourUTC"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"start": "2023-03-25T10:00:00"}, "Invalid date format for start"),
        ({"end": "yesterday"}, "Invalid date format for end"),
        ({"timezone": "cet"}, "Unknown timezone"),
        ({"sort": "Nothing"}, "Column Nothing does not exist"),
        ({"sort": "HourUTC sideways"}, "Invalid sort"),
        ({"columns": "HourUTC,Nothing"}, "Column Nothing does not exist"),
        ({"filter": "{"}, "Invalid filter"),
        ({"filter": '{"HourUTC": {"$gt": "2023"}}'}, "only equality"),
        ({"limit": "-1"}, "limit must be a whole number"),
        ({"offset": "x"}, "offset must be a whole number"),
        ({"page": 2}, "Unknown parameter: page"),
    ],
)
def test_a_query_that_is_not_in_the_form_is_refused_in_json(
    api: EnergiDataService, query: dict[str, Any], message: str
) -> None:
    status, body = refusal(api, **query)
    assert (status, body["statusCode"]) == (400, 400)
    assert message in body["message"]


def test_an_unknown_dataset_does_not_exist(api: EnergiDataService) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(api.url("Nothing"))  # noqa: S310 - loopback.
    with caught.value as error:
        assert error.code == 404


def test_who_asks_too_soon_is_told_to_wait_and_other_datasets_are_not_touched(rows: pl.DataFrame) -> None:
    with EnergiDataService({NAME: rows, "Other": rows}, seconds_between_requests=30) as api:
        assert len(ask(api)) == 100
        status, body = refusal(api)
        assert (status, body["statusCode"]) == (429, 429)
        assert body["message"] in {f"Rate limit is exceeded. Try again in {n} seconds." for n in (29, 30)}
        urlopen(api.url("Other")).close()  # noqa: S310 - loopback.


def test_rows_appear_late_and_values_are_restated_as_time_goes_on(rows: pl.DataFrame) -> None:
    day = datetime(2023, 4, 1, tzinfo=UTC)
    one = rows.head(1)
    versions = pl.concat(
        [
            one.with_columns(pl.lit(1, pl.Int64).alias("TotalCon"), pl.lit(day).alias(PUBLISHED)),
            one.with_columns(pl.lit(2, pl.Int64).alias("TotalCon"), pl.lit(day + timedelta(days=400)).alias(PUBLISHED)),
        ]
    )
    with EnergiDataService({NAME: versions}) as api:
        for now, values in ((-1, []), (0, [1]), (399, [1]), (400, [2])):
            api.now = day + timedelta(days=now)
            assert [row["TotalCon"] for row in ask(api)] == values
        api.now = lambda: day
        assert [row["TotalCon"] for row in ask(api)] == [1]
        assert PUBLISHED not in ask(api)[0]


def test_the_demonstration_is_published_as_it_was_known() -> None:
    window = (datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC))
    with EnergiDataService({NAME: demo_rows(*window)}) as api:
        for now in (window[0] + timedelta(hours=5), window[1] + timedelta(days=50)):
            api.now = now
            expected = demo.observations(*window, known_at=now)
            assert sum(row["TotalCon"] for row in ask(api, limit=0)) == expected["energy_consumption"].sum()


def test_faults_are_served_in_their_order_and_then_proper_answers(api: EnergiDataService) -> None:
    api.faults = [
        faults.rate_limited(9, http_status=200),
        faults.html(503),
        faults.dropped,
        faults.cut_off,
        faults.truncated,
        faults.one_line(10),
        faults.records(lambda records: records[:1]),
    ]
    assert whole(api) == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 9 seconds."}
    with pytest.raises(HTTPError) as caught:
        whole(api)
    with caught.value as error:
        assert (error.code, error.read()[:6]) == (503, b"<html>")
    with pytest.raises(http.client.RemoteDisconnected):
        whole(api)
    with pytest.raises(http.client.IncompleteRead):
        whole(api)
    for _ in range(2):
        with pytest.raises(json.JSONDecodeError):
            whole(api)
    assert len(ask(api)) == 1
    assert len(ask(api)) == 100
    assert len(api.requests) == 8
