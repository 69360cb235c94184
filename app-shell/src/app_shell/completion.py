"""What the shell completes: areas, consumer types and versions that there are; nothing where they cannot be read."""

from collections.abc import Callable, Iterable
from typing import Any

import typer

Completer = Callable[[typer.Context, str], list[str]]


def _quiet(found: Callable[[typer.Context], Iterable[Any]]) -> Completer:
    def complete(context: typer.Context, incomplete: str) -> list[str]:
        try:
            return [text for text in map(str, found(context)) if text.startswith(incomplete)]
        except Exception:
            return []

    return complete


def _series(context: typer.Context) -> set[tuple[str, str]]:
    """Return the series of the newest run that is not in the future."""
    from app_shell.forecast import forecasts_of
    from app_shell.program import read_settings, shell_of
    from forecast_core.provenance.find import find_run

    settings = read_settings()
    run = find_run(settings, reference_datetime=None, now=shell_of(context).now)
    return set(forecasts_of(settings, run).select("area", "consumer_type").unique().rows())


def _areas(context: typer.Context) -> list[str]:
    return sorted({area for area, _ in _series(context)})


def _consumer_types(context: typer.Context) -> list[str]:
    wanted = context.params.get("area")
    return sorted({kind for area, kind in _series(context) if wanted in (None, area)})


def _model_versions(_context: typer.Context) -> list[int]:
    from app_shell.program import read_settings
    from forecast_core import tracking

    return [each.version for each in reversed(tracking.find_model_versions(read_settings()))]


def _feature_views(_context: typer.Context) -> list[int]:
    from app_shell.program import read_settings
    from forecast_core.feature_store import FeatureStore

    return [each.version for each in FeatureStore(read_settings()).feature_views()]


areas = _quiet(_areas)
consumer_types = _quiet(_consumer_types)
model_versions = _quiet(_model_versions)
feature_views = _quiet(_feature_views)
