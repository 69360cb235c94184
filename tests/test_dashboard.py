"""The dashboard in a real browser, with data from the real pipelines and the real API."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from app_dashboard.display import Display, percent
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from tests.airflow_api import Airflow
from tests.browser import browsing
from tests.dashboard import (
    PATIENCE_MS,
    WIDTHS,
    Api,
    dag_runs,
    figures,
    filled_once,
    serving_api,
    serving_dashboard,
    settled,
)
from tests.stack import free_port

pytestmark = pytest.mark.browser
PAGES = {
    "": "Forecasts",
    "map": "Map of series",
    "accuracy": "Accuracy",
    "alarms": "Alarms",
    "data": "Data",
    "models": "Models",
    "runs": "Runs",
    "provenance": "Provenance",
}


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Settings:
    base = tmp_path_factory.getbasetemp()
    return filled_once(base.parent if base.name.startswith("popen-") else base, tracking_template)


@pytest.fixture(scope="session")
def api(filled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    password = tmp_path_factory.mktemp("airflow") / "password"
    password.write_text("secret")
    with Airflow("secret", runs=dag_runs()) as airflow:
        known = {"airflow_url": airflow.url, "airflow_password_file": password}
        with serving_api(filled.model_copy(update=known)) as served:
            yield served


@pytest.fixture(scope="session")
def dashboard(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_dashboard(api.url, tmp_path_factory.mktemp("dashboard")) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with browsing() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page 1400 pixels wide in its own session; requests to other hosts fail the test."""
    with Opened(browser, "wide") as fresh:
        yield fresh


class Opened:
    """A page of a given width; at its end the browser had no error and sent no request to other hosts."""

    def __init__(self, browser: Browser, width: str, theme: str = "light") -> None:
        across, down = WIDTHS[width]
        self._context = browser.new_context(
            viewport={"width": across, "height": down},
            color_scheme=theme,  # type: ignore[arg-type]
            accept_downloads=True,
        )
        self._strangers: list[str] = []
        self._errors: list[str] = []

    def __enter__(self) -> Page:
        page = self._context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.set_default_navigation_timeout(PATIENCE_MS)
        page.on("request", lambda request: self._note(request.url))
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        return page

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self._strangers.append(url)

    def __exit__(self, *_: object) -> None:
        self._context.close()
        assert self._strangers == []
        assert self._errors == []


@pytest.mark.parametrize(("width", "theme"), [("wide", "light"), ("narrow", "dark")])
def test_every_page_opens_by_a_click_and_fits(browser: Browser, dashboard: str, width: str, theme: str) -> None:
    with Opened(browser, width, theme) as page:
        settled_at(page, dashboard)
        for title in PAGES.values():
            go_to(page, title)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
            across, room = page.evaluate(
                "() => { const main = document.querySelector('[data-testid=stMain]');"
                " return [main.scrollWidth, main.clientWidth] }"
            )
            assert across <= room, title


def settled_at(page: Page, address: str) -> Page:
    page.goto(address)
    return settled(page)


def go_to(page: Page, title: str) -> None:
    """Click a page's name in the list; on a narrow screen, open the list first."""
    link = page.get_by_test_id("stSidebarNavLink").filter(has_text=title)
    if not link.is_visible() or link.bounding_box()["x"] < 0:  # type: ignore[index]
        page.get_by_test_id("stExpandSidebarButton").click()
    link.click()
    page.wait_for_selector(f"h1:has-text('{title}')")
    settled(page)


def choose(page: Page, label: str, text: str, option: str) -> None:
    """Type into a select box and take its first match."""
    box = page.get_by_role("combobox", name=re.compile(label))
    box.click()
    box.fill(text)
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def test_a_forecasts_figures_are_the_apis_for_any_series_unit_and_zone(page: Page, dashboard: str, api: Api) -> None:
    settled_at(page, dashboard)
    # A part of the name is enough.
    choose(page, "Area", "DK2", "DK2")
    choose(page, "Consumer type", "kind 215", "215 · Kind 215")
    answer = api.get("/forecasts/DK2/215", history_hours=168, previous_hours=24)
    hours, before = answer["forecast"], answer["previous"]["forecast"]
    peak = max(hours, key=lambda hour: hour["energy_consumption"])
    came = {each["datetime_utc"]: each["energy_consumption"] for each in answer["observations"]}
    met = [hour for hour in before if hour["datetime_utc"] in came]
    errors = [abs(hour["energy_consumption"] - came[hour["datetime_utc"]]) for hour in met]
    error = sum(errors) / sum(came[hour["datetime_utc"]] for hour in met)
    for unit, zone, shown in (("kWh", "Danish time", Display()), ("MWh", "UTC", Display(zone="UTC", unit="MWh"))):
        for choice in (unit, zone):
            page.get_by_role("radio", name=choice, exact=True).click()
            settled(page)
        at = shown.local(datetime.fromisoformat(peak["datetime_utc"]))
        label = f"Peak, {at:%a %H:%M}"
        expect(page.get_by_text(label)).to_be_visible()
        found = figures(page)
        assert found["Next 24 hours"] == shown.energy(sum(hour["energy_consumption"] for hour in hours))
        assert found[label] == shown.energy(peak["energy_consumption"])
        assert found["Error of yesterday's forecast"] == percent(error)


def test_a_forecasts_table_and_download_are_the_apis(page: Page, dashboard: str, api: Api) -> None:
    settled_at(page, f"{dashboard}/?area=DK1&consumer_type=121&time=UTC")
    hours = api.get("/forecasts/DK1/121", history_hours=168)["forecast"]
    grid = page.get_by_test_id("stDataFrame").first
    expect(grid.locator("tr[aria-rowindex='4'] td").first).to_be_attached()
    for row, hour in enumerate(hours[:3], start=2):
        cells = [cell.inner_text() for cell in grid.locator(f"tr[aria-rowindex='{row}'] td").all()]
        wanted = [f"{hour[name]:.0f}" for name in ("energy_consumption", "q10", "q90", "q05", "q95")]
        assert cells[0] == f"{datetime.fromisoformat(hour['datetime_utc']):%a %d %b %H:%M}"
        assert cells[1:6] == wanted
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    with download.value.path().open(encoding="utf-8") as file:
        rows = {row["datetime_utc"]: row for row in csv.DictReader(file)}
    assert {each["datetime_utc"]: each["energy_consumption"] for each in hours} == {
        time: float(row["forecast_kwh"]) for time, row in rows.items() if row["forecast_kwh"]
    }
    assert len(rows) == 168 + 24


def test_the_map_has_every_series_in_the_order_asked_for_and_leads_to_its_forecast(
    page: Page, dashboard: str, api: Api
) -> None:
    settled_at(page, f"{dashboard}/map")
    page.get_by_role("radio", name="Size", exact=True).click()
    series = sorted(api.get("/series", limit=1000)["items"], key=lambda each: -each["mean_forecast"])
    largest = f"{series[0]['area']} {series[0]['consumer_type']}"
    cards = page.locator(".series-card")
    expect(cards.first.locator("b")).to_have_text(largest)
    assert cards.locator("b").all_inner_texts() == [f"{each['area']} {each['consumer_type']}" for each in series]
    metrics = api.get("/monitoring", level="series", days=7, metric="wape", area=series[0]["area"], limit=1000)["items"]
    [error] = [each["value"] for each in metrics if each["consumer_type"] == series[0]["consumer_type"]]
    assert percent(error) in cards.first.inner_text()
    cards.first.click()
    page.wait_for_selector("h1:has-text('Forecasts')")
    settled(page)
    expect(page.get_by_role("combobox", name=re.compile("Area"))).to_have_value(series[0]["area"])
    page.get_by_text("Next 24 hours").first.wait_for()
    assert figures(page)["Next 24 hours"] == Display().energy(series[0]["mean_forecast"] * 24)


def test_accuracy_is_what_monitoring_measured(page: Page, dashboard: str, api: Api) -> None:
    settled_at(page, f"{dashboard}/accuracy")
    for window, days in (("7 days", 7), ("1 day", 1)):
        page.get_by_role("radio", name=window, exact=True).click()
        settled(page)
        items = api.get("/monitoring", level="overall", days=days)["items"]
        values = {each["metric"]: each["value"] for each in items}
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(percent(values["wape"], 2))
        found = figures(page)
        assert found["Seasonal naive"] == percent(values["naive_wape"], 2)
        assert found["Relative MAE"] == f"{values['relative_mae']:.2f}"
        assert found["In the 80 % interval"] == percent(values["coverage_80"])


def test_data_models_runs_and_alarms_show_what_the_api_has(page: Page, dashboard: str, api: Api) -> None:
    settled_at(page, f"{dashboard}/data")
    ingest = api.get("/ingests")["items"][0]
    found = figures(page)
    assert found["Series"] == str(ingest["series"])
    assert found["Revised by the newest run"] == str(ingest["revised"])
    assert found["Age of observations"] == "25.5 h"
    page.goto(api.url + api.get("/validations")["items"][0]["page"])
    expect(page.locator("body")).to_contain_text("demo-denmark")
    settled_at(page, f"{dashboard}/models")
    model = api.get(f"/models/{api.get('/runs', limit=1)['items'][0]['model_version']}")
    assert figures(page)["Model in use"] == f"version {model['version']}"
    assert figures(page)["Backtest error (WAPE)"] == percent(model["metrics"]["wape"], 2)
    go_to(page, "Runs")
    assert figures(page)["Runs with forecasts"] == str(api.get("/runs")["total"])
    go_to(page, "Alarms")
    alarms = api.get("/alarms")["items"]
    opened_now = [each for each in alarms if each["cleared_at"] is None]
    expect(page.get_by_role("heading", name=f"Open ({len(opened_now)})")).to_be_visible()


def test_runs_are_shown_as_airflow_has_them_task_by_task(page: Page, dashboard: str, api: Api) -> None:
    newest, failed = api.get("/airflow/runs")["items"]
    settled_at(page, f"{dashboard}/runs?time=UTC")
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text("The newest 2 of 2 runs of ml_pipeline")
    grid = page.get_by_test_id("stDataFrame").first
    expect(grid.locator("tr[aria-rowindex='3'] td").first).to_be_attached()
    for row, run, state in ((2, newest, "✓ success"), (3, failed, "✗ failed")):
        cells = [cell.inner_text() for cell in grid.locator(f"tr[aria-rowindex='{row}'] td").all()]
        hour = Display(zone="UTC").when(datetime.fromisoformat(run["logical_date"]))
        assert cells[:3] == [state, hour, "1 min 33 s"]
        assert cells[4] == "2"
    choose(page, "Run", "failed", "Sat 30 Mar 2024 05:00, failed")
    main.get_by_text("As a table").click()
    tasks = page.get_by_test_id("stDataFrame").nth(1)
    expect(tasks.locator("tr[aria-rowindex='3'] td").first).to_be_attached()
    cells = [cell.inner_text() for cell in tasks.locator("tr[aria-rowindex='3'] td").all()]
    assert cells == ["batch predict", "failed", "10", "1 min 23 s", "2"]


def test_a_number_is_walked_back_to_its_source(page: Page, dashboard: str, api: Api) -> None:
    settled_at(page, f"{dashboard}/provenance?area=DK1&consumer_type=111")
    run = api.get("/runs")["items"][0]
    found = api.get("/forecasts/DK1/111/provenance", datetime_utc=run["window_end"])
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text(Display().energy(found["forecast"]["energy_consumption"]))
    for text in (
        f"version {found['model']['version']}",
        f"{found['training_dataset']['rows']:,} values of {found['training_dataset']['series']} series",
        f"{found['observations']['count']:,} values of the series",
        f"content {found['observations']['sha256'][:12]}",
        "demo://denmark",
    ):
        expect(main).to_contain_text(text)
    link = main.get_by_role("link", name="validation", exact=True)
    assert link.get_attribute("href") == api.url + found["ingests"]["of_run"]["validation_page"]
    main.get_by_text("All that is recorded").first.click()
    expect(main).to_contain_text("feature_view_version")


@pytest.mark.parametrize("path", list(PAGES))
def test_no_page_asks_the_api_twice_for_the_same(page: Page, dashboard: str, api: Api, path: str) -> None:
    api.asked.clear()
    settled_at(page, f"{dashboard}/{path}")
    assert [asked for asked, times in Counter(api.asked).items() if times > 1] == []
    assert len(api.asked) <= 5, api.asked


def test_without_api_and_without_forecasts_a_page_says_what_to_do(
    page: Page, tmp_path: Path, tracking_template: Path
) -> None:
    settings = Settings(root_dir=tmp_path / "empty")
    settings.root.mkdir()
    (settings.root / "mlflow.db").write_bytes(tracking_template.read_bytes())
    assert tracking.find_model_versions(settings, {}) == []
    port = free_port()
    with serving_dashboard(f"http://127.0.0.1:{port}", tmp_path) as address:
        settled_at(page, address)
        main = page.get_by_test_id("stMain")
        expect(main).to_contain_text("does not answer")
        expect(main).to_contain_text("make run")
        with serving_api(settings, port):
            page.get_by_role("button", name="Try again").click()
            expect(main).to_contain_text("nothing has been forecast yet")
            for title in PAGES.values():
                go_to(page, title)
                expect(page.get_by_test_id("stException")).to_have_count(0)
            go_to(page, "Runs")
            expect(main).to_contain_text("this API does not know the address of Airflow: set ML_PIPELINE_AIRFLOW_URL.")
