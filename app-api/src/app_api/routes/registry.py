"""Registered model versions, a card of each, and the decisions about the champion."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from app_api.answers import hashed_answer, served_by
from app_api.models import Decision, ModelCard, ModelSummary, Page
from app_api.paging import paged
from app_api.parameters import PageQuery, Version, ViewQuery
from app_api.problems import described
from forecast_core import tracking
from forecast_core.tracking import ModelVersion, Promotion
from forecast_core.tracking.aliases import named_champions

router = APIRouter(tags=["models"])


class PromotionsQuery(ViewQuery, PageQuery):
    """The decisions to return."""

    fh: int = Field(24, ge=1, le=1000, description="Of models that forecast so many hours.")


@router.get("/models", summary="Model versions", response_model=Page[ModelSummary], responses=described(406, 422, 503))
def models(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Every registered version, newest first."""
    served = served_by(request)

    def make() -> bytes:
        found, named = tracking.find_model_versions(served.settings)[::-1], named_champions(served.settings)
        return paged(request, query, found, lambda page: [_summary(each, named).model_dump() for each in page])

    return hashed_answer(request, make)


@router.get(
    "/models/{version}",
    summary="A model card",
    response_model=ModelCard,
    responses=described(404, 406, 422, 503),
)
def card(request: Request, version: Annotated[Version, Path()]) -> Response:
    """A model version with its data, configuration, backtest, files, code and DAG run."""
    served = served_by(request)

    def make() -> ModelCard:
        return _card(tracking.model_version(served.settings, version), named_champions(served.settings))

    return hashed_answer(request, make)


@router.get(
    "/promotions",
    summary="Decisions about the champion",
    response_model=Page[Decision],
    responses=described(404, 406, 422, 503),
)
def promotions(request: Request, query: Annotated[PromotionsQuery, Query()]) -> Response:
    """Who was promoted, kept or rolled back, when and why, newest first; none where the shipped default always was."""
    served = served_by(request)
    view = served.view(query.feature_view_version).version

    def make() -> bytes:
        found = tracking.promotions(served.settings, feature_view_version=view, fh=query.fh)[::-1]
        return paged(request, query, found, lambda page: [_decision(each) for each in page])

    return hashed_answer(request, make)


def _decision(decision: Promotion) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(decision).items() if name in Decision.model_fields}
    return {**facts, "at": decision.reference_datetime, "decision_id": decision.decision_id}


def _summary(model: ModelVersion, champions: set[int]) -> ModelSummary:
    return ModelSummary.model_validate(_facts(model, champions))


def _facts(model: ModelVersion, champions: set[int]) -> dict[str, Any]:
    tags = model.tags
    return {
        "version": model.version,
        "run_id": model.run_id,
        "reference_datetime": tags.get("reference_datetime"),
        "feature_view_version": tags.get("feature_view_version"),
        "training_dataset_version": tags.get("training_dataset_version"),
        "configuration_source": tags.get("config_source"),
        "metrics": _parsed(tags, "metrics") or {},
        "champion": model.version in champions,
    }


def _card(model: ModelVersion, champions: set[int]) -> ModelCard:
    apart = {"metrics", "files", "made_by", "config", "config_source"}
    return ModelCard.model_validate(
        {
            **_facts(model, champions),
            "source": model.source,
            "configuration": _parsed(model.tags, "config"),
            "files": _parsed(model.tags, "files") or {},
            "made_by": _parsed(model.tags, "made_by") or {},
            "tags": {name: value for name, value in sorted(model.tags.items()) if name not in apart},
        }
    )


def _parsed(tags: Mapping[str, str], name: str) -> Any:
    return json.loads(tags.get(name, "null"))
