"""Data quality: ingests, validation results, and the quarantine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
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
from forecast_core.validations import FOLDER, ValidationRun, Validations

router = APIRouter(tags=["data quality"])
VALIDATION_TABLES = ("validation_runs",)
_NAMED = 10


class DatasetQuery(PageQuery):
    """The dataset to read."""

    dataset: Name | None = Field(None, description="Only this dataset.", examples=["demo-denmark"])


class IngestsQuery(DatasetQuery):
    """The ingests to return."""

    feature_group_version: Version | None = Field(None, description="Only this version of the feature group.")


class QuarantineQuery(IngestsQuery):
    """The findings to return."""

    known_at: Time | None = Field(None, description="Only of the run at this reference time.")
    expectation: Name | None = Field(None, description="Only findings of this validation rule.", examples=["flat_line"])
    severity: Literal["error", "warning"] | None = Field(None, description="Only findings of this severity.")
    area: Name | None = Field(None, description="Only of this area.")
    consumer_type: Name | None = Field(None, description="Only of this consumer type.")
    pending: bool = Field(False, description="Only findings that nobody has released.")


@router.get("/ingests", summary="Ingests", response_model=Page[Ingest], responses=described(406, 422, 503))
def ingests(request: Request, query: Annotated[IngestsQuery, Query()]) -> Response:
    """Ingests, newest first: the window that was asked for, what came, and what that changed."""
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
    """The outcome of validating the data of each run, newest first; each has a page for people to read."""
    served = served_by(request)

    def make() -> bytes:
        found = [each for each in _validation_runs(served) if query.dataset in (None, each.dataset)]
        return paged(request, query, found, lambda page: [_validation(each) for each in page])

    return json_answer(request, VALIDATION_TABLES, make)


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
    """How many rows failed each validation rule."""
    served = served_by(request)
    known = _validation_runs(served)
    of_dataset = [each for each in known if each.dataset == dataset]
    if not of_dataset:
        names = sorted({each.dataset for each in known})
        raise Refused(
            404,
            f"no data of dataset {dataset} have been validated; there are results of {', '.join(names) or 'none yet'}",
        )
    found = next((each for each in of_dataset if each.name == run), None)
    if found is None:
        newest = [each.name for each in of_dataset[:_NAMED]]
        raise Refused(404, f"{dataset} has no result {run}; the newest are {', '.join(newest)}", allowed=newest)
    return hashed_answer(request, lambda: _validation_result(served, found))


@router.get(
    "/quarantine",
    summary="Quarantine",
    responses=media.described(Page[Finding], 406, 422, 503),
)
def quarantine(request: Request, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """Rows that fail a validation rule, newest run first, then by rule and key."""
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
        **ingest.facts(),
        "missing_hours": record.get("missing_hours"),
        "series": record.get("series"),
        "warnings": record.get("warnings") or [],
        "dag_run_id": ingest.made_by.get("dag_run_id"),
        "validation_page": page_path(record.get("validation_page")),
    }


def page_path(recorded: str | None) -> str | None:
    """Return where this server has the page of a validation, given the recorded path or URI of one of its files."""
    path = PurePosixPath(recorded or "")
    return _page(path.parent.name, path.stem) if path.suffix in {".json", ".html"} else None


def _page(dataset: str, name: str) -> str:
    return f"/{FOLDER}/{dataset}/{name}.html"


def _validation_runs(served: Served) -> Sequence[ValidationRun]:
    """Return all validation runs, newest first."""
    return served.remembered("validation runs", VALIDATION_TABLES, Validations(served.settings).runs)


def _validation(run: ValidationRun) -> dict[str, Any]:
    return {
        "dataset": run.dataset,
        "run": run.name,
        "reference_datetime": run.reference_datetime,
        "window": f"{run.window.start:%Y-%m-%d %H:%M} to {run.window.end:%Y-%m-%d %H:%M} (exclusive)",
        "outcome": run.outcome,
        "findings": [asdict(each) for each in run.findings],
        "evaluated_expectations": run.rules,
        "unmet_expectations": run.failed_rules,
        "page": _page(run.dataset, run.name),
    }


def _validation_result(served: Served, run: ValidationRun) -> ValidationResult:
    result = json.loads(Validations(served.settings).read_file(run.dataset, f"{run.name}.json"))
    rules = [_rule(each) for each in result.get("results", [])]
    return ValidationResult.model_validate({**_validation(run), "expectations": rules})


def _rule(result: Mapping[str, Any]) -> dict[str, Any]:
    meta = result["expectation_config"]["meta"]
    return {
        "name": meta["name"],
        "promise": meta.get("description") or meta.get("promise"),
        "met": result["success"],
        "unexpected_rows": result["result"].get("unexpected_count"),
    }
