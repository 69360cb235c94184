"""MLflow's aliases: for people who look into the registry, the model that is of the champion's recipe."""

from typing import Final

from forecast_core.contracts.settings import Settings
from forecast_core.tracking.creation import client
from forecast_core.tracking.database import MODEL, reading, writing
from forecast_core.tracking.locks import lock
from forecast_core.tracking.models import newest_model

_OLDER: Final = "champion"
"""The one alias of version 1.0.0, which stayed on a version that had been rolled back."""
_WAIT: Final = 60.0


def champion_alias(feature_view_version: int, fh: int) -> str:
    """Return the alias of the champion of a feature view and horizon.

    >>> champion_alias(1, 24)
    'champion-view-1-24h'
    """
    return f"champion-view-{feature_view_version}-{fh}h"


def name_champion(settings: Settings, *, feature_view_version: int, fh: int, config: str | None) -> None:
    """Put the alias of a feature view and horizon on the newest model of a configuration; take it away if it is None.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    alias = champion_alias(feature_view_version, fh)
    with lock(settings, "name-champion", wait=_WAIT):
        newest = None
        if config is not None:
            newest = newest_model(settings, feature_view_version=feature_view_version, fh=fh, config=config)
        wanted = None if newest is None else newest.version
        named = _aliases(settings)
        if named.get(alias) == wanted and _OLDER not in named:
            return
        mlflow = client(settings)
        with writing(settings):
            if wanted is not None:
                mlflow.set_registered_model_alias(MODEL, alias, str(wanted))
            for each in {_OLDER, *([alias] if wanted is None else [])} & set(named):
                mlflow.delete_registered_model_alias(MODEL, each)


def named_champion(settings: Settings, *, feature_view_version: int, fh: int = 24) -> int | None:
    """Return the model version that has the alias of a feature view and horizon, or None.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    return _aliases(settings).get(champion_alias(feature_view_version, fh))


def named_champions(settings: Settings) -> set[int]:
    """Return the model versions that have the alias of any feature view and horizon.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    return {version for alias, version in _aliases(settings).items() if alias != _OLDER}


def _aliases(settings: Settings) -> dict[str, int]:
    """Return the version of each alias that begins with ``champion``."""
    from sqlalchemy import column, select, table

    aliases = table("registered_model_aliases", column("name"), column("alias"), column("version"))
    query = select(aliases.c.alias, aliases.c.version)
    query = query.where(aliases.c.name == MODEL, aliases.c.alias.like(f"{_OLDER}%"))
    with reading(settings) as connection:
        rows = [] if connection is None else connection.execute(query).all()
    return {alias: int(version) for alias, version in rows}
