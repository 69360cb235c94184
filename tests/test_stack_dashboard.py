"""The dashboard and the API after `make run` show the numbers of the DAG's run."""

from collections.abc import Iterator

import httpx
import pytest

from app_dashboard.display import Display
from tests.browser import browsing
from tests.dashboard import PATIENCE_MS, figures, settled
from tests.stack import PATIENCE_S, Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture
def resting(stack: Stack) -> Iterator[Stack]:
    """The stack, in which no run changes what is shown while it is compared."""
    with stack.resting():
        yield stack


def test_the_stacks_dashboard_shows_what_its_api_says_of_its_run(resting: Stack) -> None:
    stack = resting
    address = f"http://127.0.0.1:{stack.api_port}/api/v1"
    forecast = httpx.get(f"{address}/forecasts/DK1/111", trust_env=False, timeout=PATIENCE_S).raise_for_status().json()
    # The page is of one dataset; the API lists the runs of all unless it is told which.
    view = forecast["feature_view_version"]
    asked = {"feature_view_version": view}
    runs = httpx.get(f"{address}/runs", params=asked, trust_env=False, timeout=PATIENCE_S).raise_for_status().json()
    dag_runs = httpx.get(f"{address}/airflow/runs", trust_env=False, timeout=PATIENCE_S).raise_for_status().json()
    dashboard = f"http://127.0.0.1:{stack.dashboard_port}"
    with browsing() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{dashboard}/?area=DK1&consumer_type=111")
        settled(page)
        page.get_by_test_id("stMetricValue").first.wait_for()
        total = sum(hour["energy_consumption"] for hour in forecast["forecast"])
        assert figures(page)["Next 24 hours"] == Display().energy(total)
        page.goto(f"{dashboard}/runs?view={view}")
        settled(page)
        page.get_by_test_id("stMetricValue").first.wait_for()
        assert int(figures(page)["Runs with forecasts"]) == runs["total"] > 0
        page.get_by_text(f"of {dag_runs['total']} runs of ml_pipeline").wait_for()
        [link] = page.get_by_role("link", name="Open Airflow").all()
        assert link.get_attribute("href") == f"http://127.0.0.1:{stack.airflow_port}/dags/ml_pipeline"
