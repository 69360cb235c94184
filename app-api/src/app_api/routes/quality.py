"""Data quality: ingests, the validation results of their runs, and the quarantine."""

import json
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import hashed_answer, json_answer, served_by, table_answer
from app_api.models import Finding, Ingest, Page, Validation, ValidationResult
from app_api.paging import page_facts, paged
from app_api.parameters import Name, PageQuery, Time, Version
from app_api.problems import Refused, described
from app_api.served import Served
from forecast_core import feature_store
from forecast_core.quarantine import Quarantine

router = APIRouter(tags=["data quality"])
FOLDER = "validation"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class DatasetQuery(PageQuery):
    """Which dataset is meant."""

    dataset: Name | None = Field(None, description="Only this dataset.", examples=["demo-denmark"])


class IngestsQuery(DatasetQuery):
    """Which ingests are meant."""

    feature_group_version: Version | None = Field(None, description="Only this version of the feature group.")


class QuarantineQuery(IngestsQuery):
    """Which findings are meant."""

    known_at: Time | None = Field(None, description="Only of the run at this reference time.")
    expectation: Name | None = Field(None, description="Only of this expectation.", examples=["flat_line"])
    severity: Literal["error", "warning"] | None = Field(None, description="Only of this severity.")
    area: Name | None = Field(None, description="Only of this area.")
    consumer_type: Name | None = Field(None, description="Only of this consumer type.")
    pending: bool = Field(False, description="Only those that nobody has released.")


@router.get("/ingests", summary="Ingests", response_model=Page[Ingest], responses=described(406, 422, 503))
def ingests(request: Request, query: Annotated[IngestsQuery, Query()]) -> Response:
    """What each run asked its source for, what it got and what that changed, newest first."""
    served = served_by(request)

    def make() -> bytes:
        wanted = {"dataset": query.dataset, "feature_group_version": query.feature_group_version}
        found = served.store.ingests(**wanted)[::-1]  # type: ignore[arg-type]
        return paged(request, query, found, lambda page: [_ingest(each) for each in page])

    return json_answer(request, ("ingests",), make)


@router.get(
    "/validations",
    summary="Validation results",
    response_model=Page[Validation],
    responses=described(406, 422, 503),
)
def validations(request: Request, query: Annotated[DatasetQuery, Query()]) -> Response:
    """How the data of each run came through validation, newest first by run; each has a page to read."""
    served = served_by(request)
    found = [
        path
        for folder in _folders(served)
        if query.dataset in (None, folder.name)
        for path in folder.glob("*.json")
        if _NAME.fullmatch(path.stem)
    ]
    found.sort(key=lambda path: (path.stem, path.parent.name), reverse=True)
    return hashed_answer(request, lambda: paged(request, query, found, lambda page: [_summary(each) for each in page]))


@router.get(
    "/validations/{dataset}/{run}",
    summary="The validation result of one run",
    response_model=ValidationResult,
    responses=described(404, 406, 422, 503),
)
def validation(
    request: Request,
    dataset: Annotated[Name, Path(examples=["demo-denmark"])],
    run: Annotated[Name, Path(examples=["2024-03-31T05"])],
) -> Response:
    """How each expectation came out."""
    served = served_by(request)
    # What was asked for is compared with what there is, and is no part of a path.
    folders = {folder.name: folder for folder in _folders(served)}
    if dataset not in folders:
        raise Refused(404, f"no dataset {dataset} was validated; there are {', '.join(folders) or 'none yet'}")
    results = {path.stem: path for path in folders[dataset].glob("*.json")}
    if run not in results:
        newest = sorted(results, reverse=True)[:10]
        raise Refused(404, f"{dataset} has no result {run}; the newest are {', '.join(newest)}", allowed=newest)
    return hashed_answer(request, lambda: ValidationResult.model_validate(_result(results[run])))


@router.get(
    "/quarantine",
    summary="Quarantine",
    responses={**media.described(Page[Finding]), **described(406, 422, 503)},
)
def quarantine(request: Request, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """Rows that broke an expectation, newest run first, then by expectation and key."""
    served = served_by(request)
    found = Quarantine(served.settings).read(
        dataset=query.dataset,
        feature_group_version=query.feature_group_version,
        reference_datetime=query.known_at,
        pending=query.pending,
    )
    for name in ("expectation", "severity", "area", "consumer_type"):
        if (value := getattr(query, name)) is not None:
            found = found.filter(pl.col(name) == value)
    newest = found.sort("known_at", "window_start", descending=True, maintain_order=True)
    page, facts = newest[query.offset : query.offset + query.limit], page_facts(request, query, newest.height)
    tables = ("quarantine", "quarantine_accepted")
    return facts.linked(table_answer(request, tables, lambda: facts.body(page.to_dicts()), lambda: page))


def _ingest(ingest: feature_store.Ingest) -> dict[str, Any]:
    record = ingest.record
    return {
        "dataset": ingest.dataset,
        "feature_group_version": ingest.feature_group_version,
        "known_at": ingest.known_at,
        "window_start": ingest.window.start,
        "window_end": ingest.window.end,
        "url": ingest.url,
        "rows": ingest.counts.rows,
        "new": ingest.counts.new,
        "revised": ingest.counts.revised,
        "vanished": ingest.counts.vanished,
        "missing_hours": record.get("missing_hours"),
        "series": record.get("series"),
        "warnings": record.get("warnings") or [],
        "dag_run_id": ingest.made_by.get("dag_run_id"),
        "validation_page": page_path(record.get("validation_page")),
    }


def page_path(recorded: str | None) -> str | None:
    """Return where this server has the page of a validation, of which a file's path was recorded."""
    path = FilePath(recorded or "")
    return f"/{FOLDER}/{path.parent.name}/{path.stem}.html" if path.suffix in {".json", ".html"} else None


def _folders(served: Served) -> list[FilePath]:
    root = served.settings.root / FOLDER
    if not root.is_dir():
        return []
    return sorted(each for each in root.iterdir() if each.is_dir() and _NAME.fullmatch(each.name))


def _summary(path: FilePath) -> dict[str, Any]:
    facts = _result(path)
    facts.pop("expectations")
    return Validation.model_validate(facts).model_dump()


def _result(path: FilePath) -> dict[str, Any]:
    result = json.loads(path.read_text(encoding="utf-8"))
    findings, statistics = result.get("findings", []), result.get("statistics", {})
    run: Mapping[str, Any] = result.get("run", {})
    stopped = any(each["severity"] == "error" for each in findings)
    return {
        "dataset": path.parent.name,
        "run": path.stem,
        "reference_datetime": run.get("reference"),
        "window": run.get("window"),
        "outcome": "stopped" if stopped else "stored with warnings" if findings else "passed",
        "findings": findings,
        "evaluated_expectations": statistics.get("evaluated_expectations", 0),
        "unmet_expectations": statistics.get("unsuccessful_expectations", 0),
        "page": f"/{FOLDER}/{path.parent.name}/{path.stem}.html",
        "expectations": [_expectation(each) for each in result.get("results", [])],
    }


def _expectation(result: Mapping[str, Any]) -> dict[str, Any]:
    meta = result["expectation_config"]["meta"]
    return {
        "name": meta["name"],
        "promise": meta["promise"],
        "met": result["success"],
        "unexpected_rows": result["result"].get("unexpected_count"),
    }
