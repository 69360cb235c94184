"""Models: the registered versions, and a card of each that says what made it and how good it was."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app_api.answers import hashed_answer, served_by
from app_api.models import ModelCard, ModelSummary, Page
from app_api.paging import paged
from app_api.parameters import PageQuery, Version
from app_api.problems import described
from forecast_core import tracking
from forecast_core.tracking import ModelVersion

router = APIRouter(tags=["models"])


@router.get("/models", summary="Model versions", response_model=Page[ModelSummary], responses=described(406, 422, 503))
def models(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Every registered version, newest first."""
    served = served_by(request)

    def make() -> bytes:
        found = tracking.find_model_versions(served.settings)[::-1]
        return paged(request, query, found, lambda page: [_summary(each).model_dump() for each in page])

    return hashed_answer(request, make)


@router.get(
    "/models/{version}",
    summary="A model card",
    response_model=ModelCard,
    responses=described(404, 406, 422, 503),
)
def card(request: Request, version: Annotated[Version, Path()]) -> Response:
    """All that the registry keeps of a version: data, configuration, backtest, files, code and DAG run."""
    served = served_by(request)
    return hashed_answer(request, lambda: _card(tracking.model_version(served.settings, version)))


def _summary(model: ModelVersion) -> ModelSummary:
    return ModelSummary.model_validate(_facts(model))


def _facts(model: ModelVersion) -> dict[str, Any]:
    tags = model.tags
    return {
        "version": model.version,
        "run_id": model.run_id,
        "reference_datetime": tags.get("reference_datetime"),
        "feature_view_version": tags.get("feature_view_version"),
        "training_dataset_version": tags.get("training_dataset_version"),
        "configuration_source": tags.get("config_source"),
        "metrics": _parsed(tags, "metrics") or {},
    }


def _card(model: ModelVersion) -> ModelCard:
    apart = {"metrics", "files", "made_by", "config", "config_source"}
    return ModelCard.model_validate(
        {
            **_facts(model),
            "source": model.source,
            "configuration": _parsed(model.tags, "config"),
            "files": _parsed(model.tags, "files") or {},
            "made_by": _parsed(model.tags, "made_by") or {},
            "tags": {name: value for name, value in sorted(model.tags.items()) if name not in apart},
        }
    )


def _parsed(tags: Mapping[str, str], name: str) -> Any:
    return json.loads(tags.get(name, "null"))
