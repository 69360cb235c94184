"""The files for Prometheus and Grafana use gauges that the API has."""

import json
import re
from pathlib import Path

import yaml

from tests.stack import REPOSITORY

GRAFANA = REPOSITORY / "deploy" / "grafana"
TABLE = (REPOSITORY / "docs" / "monitoring.md").read_text().split("## Prometheus")[1]
DOCUMENTED = set(re.findall(r"`(ml_pipeline_\w+)[`{]", TABLE))
OF_THE_API = {"ml_pipeline_api_requests_total"}


def gauges(text: str) -> set[str]:
    return set(re.findall(r"\bml_pipeline_\w+", text))


def test_every_gauge_of_the_dashboard_is_documented_and_every_panel_asks_for_one() -> None:
    dashboard = json.loads((GRAFANA / "ml-pipeline.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert gauges(target["expr"]), panel["title"]
            assert gauges(target["expr"]) <= DOCUMENTED | OF_THE_API, panel["title"]
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])


def test_the_api_shows_every_gauge_that_is_documented() -> None:
    source = "\n".join(path.read_text() for path in Path(REPOSITORY, "app-api", "src").rglob("*.py"))
    for name in gauges("\n".join(DOCUMENTED)):
        part = name.removeprefix("ml_pipeline_").removesuffix("_timestamp_seconds")
        part = "check_" if part in ("check_value", "check_threshold") else part
        assert re.search(rf'["\']{part}', source), name


def test_the_alerting_rules_are_read_by_the_scrape_configuration_and_use_gauges_that_there_are() -> None:
    scrape = yaml.safe_load((GRAFANA / "prometheus.yml").read_text())
    [file] = scrape["rule_files"]
    [group] = yaml.safe_load((GRAFANA / file).read_text())["groups"]
    for rule in group["rules"]:
        assert gauges(rule["expr"]) <= DOCUMENTED
        assert rule["annotations"]["summary"]
    [job] = scrape["scrape_configs"]
    assert any(f'job="{job["job_name"]}"' in rule["expr"] for rule in group["rules"])
