"""MLflow's aliases follow the champion of each feature view and horizon."""

import json
from datetime import UTC, datetime, timedelta

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.tracking.creation import client

AT = datetime(2023, 2, 1, 12, tzinfo=UTC)


def model(settings: Settings, trees: int, *, hour: int = 0, view: int = 1) -> int:
    tags = {
        "feature_view_version": str(view),
        "fh": "24",
        "config": json.dumps({"trees": trees}),
        "reference_datetime": f"{AT + timedelta(hours=hour):{DATETIME_FORMAT}}",
    }
    run_id = tracking.start_run(settings, name="train", tags={**tags, "trees": str(trees)})
    tracking.finish_run(settings, run_id, reference_datetime=AT)
    return tracking.register_model(settings, run_id=run_id, source=f"{settings.artifacts}/{run_id}/model", tags=tags)


def promote(settings: Settings, version: int, *, hour: int) -> None:
    tracking.promote(settings, model_version=version, reference_datetime=AT + timedelta(hours=hour))


def rollback(settings: Settings, *, hour: int) -> None:
    at = AT + timedelta(hours=hour)
    tracking.rollback(settings, feature_view_version=1, reference_datetime=at)


def aliases(settings: Settings) -> dict[str, int]:
    """All aliases, as MLflow's own client has them."""
    found = client(settings).get_registered_model(tracking.MODEL).aliases
    return {alias: int(version) for alias, version in found.items()}


def test_the_alias_follows_promotions_and_rollbacks_and_is_gone_while_the_default_reigns(settings: Settings) -> None:
    first, second = model(settings, 50), model(settings, 70, hour=1)
    assert aliases(settings) == {}
    promote(settings, first, hour=2)
    assert aliases(settings) == {"champion-view-1-24h": first}
    promote(settings, second, hour=3)
    assert aliases(settings) == {"champion-view-1-24h": second}
    rollback(settings, hour=4)
    assert aliases(settings) == {"champion-view-1-24h": first}
    rollback(settings, hour=5)
    assert aliases(settings) == {}
    assert tracking.champion(settings, feature_view_version=1) is None


def test_each_feature_view_has_an_alias_and_it_moves_to_the_newest_model_of_the_recipe(settings: Settings) -> None:
    one, other = model(settings, 50), model(settings, 50, view=2)
    promote(settings, one, hour=1)
    promote(settings, other, hour=1)
    assert aliases(settings) == {"champion-view-1-24h": one, "champion-view-2-24h": other}
    assert tracking.named_champions(settings) == {one, other}
    newer = model(settings, 50, hour=2)
    backfilled = model(settings, 50, hour=-2)
    tracking.follow_champion(settings, feature_view_version=1, fh=24)
    assert aliases(settings)["champion-view-1-24h"] == newer != backfilled


def test_the_one_alias_of_version_1_0_goes(settings: Settings) -> None:
    first = model(settings, 50)
    client(settings).set_registered_model_alias(tracking.MODEL, "champion", str(first))
    tracking.follow_champion(settings, feature_view_version=1, fh=24)
    assert aliases(settings) == {}
