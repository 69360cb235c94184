"""Common behaviour of all answers: caching, errors, formats, freshness, keys; no request reaches a file path."""

import hashlib
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from app_api import models
from app_api.routes import observations
from app_api.served import Served
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import UTC_HOUR
from forecast_core.contracts.settings import Settings

REFERENCE, DAY = datetime(2024, 3, 31, 5, tzinfo=UTC), timedelta(days=1)
V1 = "/api/v1"
ONE = f"{V1}/forecasts/DK1/111"
LISTS: dict[str, type[models.Model]] = {
    "/feature-views": models.FeatureView,
    "/areas": models.Area,
    "/consumer-types": models.ConsumerType,
    "/series": models.Series,
    "/forecasts": models.SeriesForecast,
    "/observations": models.SeriesObservations,
    "/monitoring": models.Metric,
    "/monitoring/hours": models.HourMetric,
    "/alarms": models.Alarm,
    "/models": models.ModelSummary,
    "/promotions": models.Decision,
    "/ingests": models.Ingest,
    "/validations": models.Validation,
    "/quarantine": models.Finding,
    "/runs": models.Run,
}
SINGLE: dict[str, type[models.Model]] = {
    "/health": models.Health,
    "/readiness": models.Readiness,
    "/forecasts/DK1/111": models.SeriesForecast,
    "/forecasts/DK1/111/archive": models.SeriesArchive,
    "/forecasts/DK1/111/explanation": models.Explanation,
    "/forecasts/DK1/111/provenance?datetime_utc=2024-03-30T06:00Z": models.Provenance,
    "/observations/DK1/111": models.SeriesObservations,
    "/observations/DK1/111/revisions": models.SeriesRevisions,
    "/models/1": models.ModelCard,
    "/validations/demo-denmark/2024-03-31T05": models.ValidationResult,
}
TABLES = (
    *("/forecasts", "/forecasts/DK1/111/archive", "/observations", "/monitoring", "/monitoring/hours", "/quarantine"),
    "/observations/DK1/111/revisions",
)
CACHED = [path for path in (*LISTS, *SINGLE) if path not in ("/health", "/readiness")]


@pytest.mark.parametrize("path", LISTS)
def test_lists_are_of_their_type_and_have_something(api: httpx.Client, path: str) -> None:
    page = models.Page[Any].model_validate(api.get(V1 + path).raise_for_status().json())
    for item in page.items:
        LISTS[path].model_validate(item)
    assert len(page.items) == page.total > 0


@pytest.mark.parametrize("path", SINGLE)
def test_single_answers_are_of_their_type(api: httpx.Client, path: str) -> None:
    SINGLE[path].model_validate(api.get(V1 + path).raise_for_status().json())


@pytest.mark.parametrize("path", LISTS)
def test_every_list_comes_in_pages(api: httpx.Client, path: str) -> None:
    whole, following = api.get(V1 + path).json(), f"{V1}{path}?limit=1"
    found: list[dict[str, Any]] = []
    while following:
        page = api.get(following).json()
        assert len(page["items"]) == 1
        found, following = found + page["items"], page["next"]
    assert found == whole["items"]


@pytest.mark.parametrize("path", TABLES)
def test_tables_come_as_csv_arrow_and_parquet_with_the_same_rows(api: httpx.Client, path: str) -> None:
    forms = {
        "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
        "application/vnd.apache.parquet": pl.read_parquet,
    }
    tables = [read(io.BytesIO(api.get(V1 + path, headers={"Accept": form}).content)) for form, read in forms.items()]
    assert tables[0].equals(tables[1])
    assert tables[0].height == len(api.get(V1 + path, headers={"Accept": "text/csv"}).text.splitlines()) - 1 > 0


@pytest.mark.parametrize("path", CACHED)
def test_an_answer_that_the_client_has_is_not_sent_again(api: httpx.Client, path: str) -> None:
    first = api.get(V1 + path)
    tag = first.headers["ETag"]
    again = api.get(V1 + path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert api.get(V1 + path, headers={"If-None-Match": '"other"'}).content == first.content
    assert first.headers["Cache-Control"] == "private, max-age=2"


def test_forms_and_series_have_tags_of_their_own(api: httpx.Client) -> None:
    paths = [f"{V1}/observations/DK1/111", f"{V1}/observations/DK2/111", f"{V1}/observations"]
    tags = [api.get(path, headers={"Accept": form}).headers["ETag"] for path in paths for form in ("*/*", "text/csv")]
    assert len(set(tags)) == len(tags)
    assert api.get(ONE).headers["ETag"] != api.get(ONE, headers={"Accept": "text/csv"}).headers["ETag"]


def test_the_short_way_to_a_forecast_answers_as_the_long_one_does(api: httpx.Client) -> None:
    short = api.get(ONE)
    # With a preference, the request goes the long way.
    long = api.get(ONE, headers={"Accept": "application/json;q=1"})
    assert short.content == long.content
    assert {**short.headers, "date": ""} == {**long.headers, "date": ""}


def test_new_forecasts_appear_whole_without_a_restart(own: Any, serve: Any) -> None:
    with serve(own.settings, now=REFERENCE + 2 * DAY, api_refresh_seconds=0.05) as client:
        before = client.get(f"{V1}/forecasts").json()["items"]
        tag = client.get(ONE).headers["ETag"]
        own.ingest(REFERENCE + DAY)
        rows = own.predict(REFERENCE + DAY, shift=1.0)
        while (seen := client.get(f"{V1}/forecasts").json()["items"]) == before:
            time.sleep(0.01)
        assert {each["reference_datetime"] for each in seen} == {"2024-04-01T05:00:00Z"}
        assert sum(len(each["forecast"]) for each in seen) == rows.height
        assert client.get(ONE, headers={"If-None-Match": tag}).status_code == 200


def test_a_run_that_is_made_again_with_another_model_replaces_what_was_served(own: Any, serve: Any) -> None:
    with serve(own.settings, api_refresh_seconds=0.05) as client:
        first = client.get(ONE).json()
        own.predict(REFERENCE, shift=5.0, model=2)
        while (seen := client.get(ONE).json())["model_version"] == 1:
            time.sleep(0.01)
        pairs = zip(first["forecast"], seen["forecast"], strict=True)
        assert all(new["energy_consumption"] == old["energy_consumption"] + 5 for old, new in pairs)


def test_a_run_whose_facts_are_written_and_whose_forecasts_are_not_is_not_served_yet(own: Any) -> None:
    served, archive = Served(own.settings, clock=lambda: REFERENCE + DAY), ForecastArchive(own.settings)
    rows, facts = archive.read(reference_from=REFERENCE), archive.read_runs(reference_from=REFERENCE)
    following = REFERENCE + DAY
    archive.write_run(facts.with_columns(reference_datetime=pl.lit(following).cast(UTC_HOUR)))
    served.refresh()
    assert served.latest(None).reference == REFERENCE
    archive.write(rows.with_columns(reference_datetime=pl.lit(following).cast(UTC_HOUR)))
    served.refresh()
    assert served.latest(None).reference == following
    # The same model again, after other observations: its facts can be read before its forecasts, too.
    archive.write_run(
        facts.with_columns(reference_datetime=pl.lit(following).cast(UTC_HOUR), forecasts_hash=pl.lit("other"))
    )
    served.refresh()
    tag = served.latest(None).tag
    shifted = rows.with_columns(pl.col("energy_consumption") + 1, reference_datetime=pl.lit(following).cast(UTC_HOUR))
    archive.write(shifted)
    served.refresh()
    assert served.latest(None).tag != tag
    values = served.latest(None).frame([("DK1", "111")])["energy_consumption"].to_list()
    assert values == shifted.filter(area="DK1", consumer_type="111")["energy_consumption"].to_list()


def test_an_older_run_that_is_backfilled_leaves_the_newest_one(own: Any, serve: Any) -> None:
    own.predict(REFERENCE - DAY, shift=7.0, model=3)
    with serve(own.settings) as client:
        assert client.get(ONE).json()["model_version"] == 1
        earlier = {"reference_datetime": (REFERENCE - DAY).isoformat()}
        assert client.get(ONE, params=earlier).json()["model_version"] == 3


def test_an_empty_system_is_ready_and_says_what_to_do(serve: Any, settings: Settings) -> None:
    with serve(settings) as client:
        ready = models.Readiness.model_validate(client.get(f"{V1}/readiness").raise_for_status().json())
        assert ready.freshness.reference_datetime is None
        answer = client.get(ONE)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "nothing has been forecast yet: run the pipeline once, then ask again",
        )
        assert client.get(f"{V1}/runs").json()["items"] == []
        assert client.get("/metrics").is_success


def test_readiness_says_how_old_the_data_are(api: httpx.Client) -> None:
    found = api.get(f"{V1}/readiness").json()["freshness"]
    assert (found["forecasts_age_hours"], found["observations_age_hours"]) == (1.5, 25.5)
    assert (found["newest_observation_hour"], found["dataset"]) == ("2024-03-30T04:00:00Z", "demo-denmark")


def test_a_store_that_cannot_be_read_is_not_ready_and_what_was_read_is_still_served(own: Any, serve: Any) -> None:
    with serve(own.settings, api_refresh_seconds=0.05) as client:
        log = own.settings.root / "store" / "forecasts" / "_delta_log"
        for each in log.iterdir():
            each.write_bytes(b"garbage")
        while (answer := client.get(f"{V1}/readiness")).status_code == 200:
            time.sleep(0.01)
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert client.get(ONE).status_code == 200
        earlier = client.get(ONE, params={"reference_datetime": (REFERENCE - DAY).isoformat()})
        assert earlier.status_code in (500, 503)
        assert str(own.settings.root) not in answer.text + earlier.text


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("/runs?limit=0", "limit", "Input should be greater than or equal to 1"),
        ("/runs?limit=9999", "limit", "Input should be less than or equal to 1000"),
        ("/observations/DK1/111?start=yesterday", "start", "a time must be ISO 8601"),
        ("/observations/DK1/111?start=2024-02-30T00:00Z", "start", "2024-02-30T00:00Z is not a time"),
        ("/observations/DK1/111?strat=1", "strat", "there is no such parameter"),
        ("/models/none", "version", "Input should be a valid integer"),
    ],
)
def test_a_wrong_request_is_told_what_is_allowed(api: httpx.Client, query: str, name: str, message: str) -> None:
    answer = api.get(V1 + query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    [error] = models.Problem.model_validate(answer.json()).errors or []
    assert error.name == name
    assert error.message.startswith(message)


def test_an_unknown_parameter_is_answered_with_those_that_there_are(api: httpx.Client) -> None:
    assert api.get(f"{V1}/areas?limt=1").json()["allowed"] == ["feature_view_version", "limit", "offset"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "allowed"),
    [
        ("GET", "/nothing", {}, 404, None),
        ("POST", "/runs", {}, 405, ["GET"]),
        ("GET", "/runs", {"Accept": "text/html"}, 406, ["application/json"]),
        ("GET", "/runs", {"Accept": "application/json;q=0"}, 406, ["application/json"]),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    api: httpx.Client, method: str, path: str, headers: dict[str, str], status: int, allowed: list[str] | None
) -> None:
    answer = api.request(method, V1 + path, headers=headers)
    problem = models.Problem.model_validate(answer.json())
    assert (answer.status_code, problem.status, problem.allowed) == (status, status, allowed)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_window_has_no_values(api: httpx.Client) -> None:
    for path in ("", "/DK1/111", "/DK1/111/revisions"):
        answer = (
            api.get(f"{V1}/observations{path}?start=2024-03-30T00:00Z&end=2024-03-30T00:30Z").raise_for_status().json()
        )
        found = answer["items"][0] if "items" in answer else answer
        assert [] in (found.get("observations"), found.get("revisions"))


def test_a_window_of_more_than_a_year_comes_in_parts(api: httpx.Client) -> None:
    path, parts = f"{V1}/observations/DK1/111?start=2022-01-01T00:00Z", []
    while path:
        answer = api.get(path).raise_for_status()
        path = answer.json()["next"]
        assert answer.headers.get("Link") == (f'<{path}>; rel="next"' if path else None)
        parts.append(answer.json()["observations"])
    assert [len(part) > 0 for part in parts] == [False, False, True]
    assert len(parts[2]) == len(api.get(f"{V1}/observations/DK1/111?start=2024-01-01T00:00Z").json()["observations"])


def test_many_series_of_a_long_window_come_fewer_at_a_time(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "MOST_VALUES", 2 * 168)
    first = api.get(f"{V1}/observations").json()
    assert (first["limit"], len(first["items"]), first["total"]) == (2, 2, 6)
    assert api.get(first["next"]).json()["offset"] == 2


def test_a_time_is_taken_with_any_offset_and_without_one_as_utc(api: httpx.Client) -> None:
    times = ["2024-03-31T05:00:00Z", "2024-03-31T07:00:00+02:00", "2024-03-31 05:00"]
    assert len({api.get(ONE, params={"reference_datetime": each}).content for each in times}) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/validation/../mlflow.db",
        "/validation/%2e%2e/mlflow.db",
        "/validation/demo-denmark/..%2f..%2fmlflow.db",
        "/validation/demo-denmark/%2e%2e%2f%2e%2e%2f%2e%2e%2fmlflow.db",
        "/validation/%2fetc/passwd",
        "/validation//etc/passwd",
        "/validation/demo-denmark/%2fetc%2fpasswd.html",
        "/validation/demo-denmark/..%5c..%5cmlflow.db",
        "/validation/demo-denmark/2024-03-31T05.html%00.db",
        "/validation/demo-denmark/.2024-03-31T05.html",
        f"{V1}/validations/..%2f/mlflow",
        f"{V1}/validations/demo-denmark/..%2f..%2fmlflow",
        f"{V1}/validations/../store",
        f"{V1}/ingests?dataset=..%2f..",
        f"{V1}/quarantine?dataset=%27%20OR%20%27%27%3D%27",
        f"{V1}/forecasts?area=DK1%27%20OR%20%271%27%3D%271",
    ],
)
def test_nothing_that_is_asked_for_reaches_a_path_or_a_query(api: httpx.Client, path: str) -> None:
    answer = api.request("GET", httpx.URL(api.base_url, raw_path=path.encode()))
    assert answer.status_code == 404 or answer.json()["items"] == []
    assert b"SQLite" not in answer.content


def test_runs_link_to_airflow_where_its_address_is_set(filled: Any, serve: Any) -> None:
    with serve(filled.settings, airflow_url="http://airflow.example/") as client:
        run = client.get(f"{V1}/runs?limit=1").json()["items"][0]
    assert run["dag_run_id"] == "scheduled__2024-03-31T05:00:00+00:00"
    assert run["airflow_url"] == (
        "http://airflow.example/dags/ml_pipeline/runs/scheduled__2024-03-31T05%3A00%3A00%2B00%3A00"
    )


def test_with_keys_only_a_key_opens_the_data(own: Any, serve: Any) -> None:
    keys = own.settings.root / "secrets" / "api-keys"
    keys.parent.mkdir()
    keys.write_text("\n".join(hashlib.sha256(key).hexdigest() for key in (b"first", b"second")) + "\n")
    with serve(own.settings) as client:
        for path in (ONE, "/metrics", "/validation/demo-denmark/2024-03-31T05.html", f"{V1}/openapi.json", "/nothing"):
            for headers in ({}, {"Authorization": "Bearer third"}, {"Authorization": "Basic first"}):
                answer = client.get(path, headers=headers)
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
                assert answer.json()["detail"].endswith("send the header Authorization: Bearer KEY")
        assert client.get(ONE, headers={"Authorization": "Bearer second"}).is_success
        assert client.get(f"{V1}/health").is_success
        assert client.get(f"{V1}/readiness").is_success
        schema = client.get(f"{V1}/openapi.json", headers={"Authorization": "Bearer first"}).json()
    assert schema["security"] == [{"key": []}]


@pytest.mark.parametrize("content", ["", "a key itself\n"])
def test_a_file_of_keys_that_has_none_stops_the_server_instead_of_opening_it(
    own: Any, serve: Any, content: str
) -> None:
    file = own.settings.root / "keys"
    file.write_text(content)
    with (
        pytest.raises(Exception, match="expected the SHA-256 of a key on every line"),
        serve(own.settings, api_keys_file=file),
    ):
        pass


def test_other_origins_may_read_only_if_they_are_named(filled: Any, api: httpx.Client, serve: Any) -> None:
    here, elsewhere = {"Origin": "https://here.example"}, {"Origin": "https://elsewhere.example"}
    assert "access-control-allow-origin" not in api.get(ONE, headers=here).headers
    with serve(filled.settings, api_cors_origins=("https://here.example",)) as client:
        allowed = client.get(ONE, headers=here).headers
        assert allowed["access-control-allow-origin"] == "https://here.example"
        assert "access-control-allow-origin" not in client.get(ONE, headers=elsewhere).headers


def test_prometheus_sees_requests_data_metrics_and_alarms(api: httpx.Client) -> None:
    api.get(ONE)
    lines = dict(line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert float(lines['ml_pipeline_api_requests_total{method="GET",route="forecast",status="200"}']) >= 1
    assert float(lines["ml_pipeline_forecast_reference_timestamp_seconds"]) == REFERENCE.timestamp()
    assert float(lines['ml_pipeline_forecasts{quality="model"}']) == 144
    assert float(lines['ml_pipeline_metric{days="7",metric="wape"}']) == 0.05
    assert float(lines['ml_pipeline_alarm_open{kind="coverage",level="notify",subject="overall"}']) == 1
    assert float(lines['ml_pipeline_check_threshold{kind="coverage"}']) == 0.7
    assert float(lines["ml_pipeline_quarantined_rows"]) == 1


def test_the_champion_is_marked_and_the_decision_told(api: httpx.Client) -> None:
    assert [each["champion"] for each in api.get(f"{V1}/models").json()["items"]] == [True]
    [decision] = api.get(f"{V1}/promotions").json()["items"]
    facts = {name: decision[name] for name in ("action", "at", "by", "reason", "model_version")}
    assert facts == {
        "action": "promote",
        "at": "2024-03-31T05:00:00Z",
        "by": "person",
        "reason": "steadier at night",
        "model_version": 1,
    }


def test_monitoring_is_filtered_by_all_that_names_a_metric(api: httpx.Client) -> None:
    def found(**query: Any) -> list[Any]:
        return [each["value"] for each in api.get(f"{V1}/monitoring", params=query).json()["items"]]

    assert found(level="overall", metric="wape") == [0.05]
    assert found(days=1) == [0.4]
    assert found(area="DK1", consumer_type="111") == [0.2]
    assert found(reference_from="2024-04-01T00:00Z") == []
    assert found(reference_until="2024-04-01T00:00Z", level=["hour", "lead"]) == [0.4, 0.3]


def test_the_schema_describes_every_answer_with_problems_in_their_own_form(api: httpx.Client) -> None:
    schema = api.get(f"{V1}/openapi.json").json()
    for path, operations in schema["paths"].items():
        for status, response in operations["get"]["responses"].items():
            form = (
                "application/problem+json" if int(status) >= 400 and path != f"{V1}/readiness" else "application/json"
            )
            assert form in response["content"], (path, status)
    assert "ValidationError" not in json.dumps(schema)


def test_every_address_in_the_documentation_is_answered(api: httpx.Client) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    addresses = re.findall(r"'http://127\.0\.0\.1:8000([^']*)'", text)
    assert len(addresses) > 8
    for address in addresses:
        assert api.get(address).status_code == 200, address
    routes = {path.split("/")[3] for path in api.get(f"{V1}/openapi.json").json()["paths"]}
    assert {route for route in routes if f"`/{route}" not in text} == set()
