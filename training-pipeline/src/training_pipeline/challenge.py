"""The decision on one challenger: both configurations on the origins that the search left out, and the test of them."""

import logging
from typing import Final

from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore
from forecast_core.tracking import Promotion, Search, Undecided
from load_forecaster import ForecasterConfig
from training_pipeline import data
from training_pipeline.comparison import Comparison, backtest, compare
from training_pipeline.evaluation import held_out
from training_pipeline.recipes import Choice, choice_of, readable

logger = logging.getLogger(__name__)

LEAST_ORIGINS: Final = 2
"""Origins below which two configurations are not compared: one would be one day."""


def decision_on(settings: Settings, undecided: Undecided) -> Promotion | None:
    """Compare a challenger with the champion and return the decision, in force from the search's reference time on.

    Returns None if this version of the code cannot use the challenger, if it is the champion's configuration, or if the
    training dataset of the search is gone.

    Raises:
        StorageError: If the training dataset cannot be read now.
    """
    search, champion = undecided.search, choice_of(undecided.champion)
    config = readable(search["best_config"])
    if config is None or (champion is not None and config == champion.config):
        return None
    margin, test = settings.promotion_margin, None
    if champion is None:
        promoted, reason = True, "this version of the code cannot use the champion's configuration"
    else:
        try:
            test = _test(settings, search, champion.config, config)
        except NotFoundError as error:
            logger.warning("sweep %s cannot be decided on, so search again: %s", search["sweep_id"], error)
            return None
        promoted, reason = _judged(test, margin)
    kept = Choice(config, source_of(search)) if promoted or champion is None else champion
    logger.info("challenger %s: %s; %s", source_of(search), "promoted" if promoted else "not promoted", reason)
    return Promotion(
        action="promote" if promoted else "keep",
        reference_datetime=search["reference_datetime"],
        feature_view_version=search["feature_view_version"],
        fh=search["fh"],
        config=None if kept.source == "default" else kept.config.to_dict(),
        source=kept.source,
        candidate=search["best_config"],
        reason=reason,
        test={} if test is None else test.to_dict() | {"margin": margin},
        by="run",
        code_version=data.code_version(),
        sweep_id=search["sweep_id"],
        against=None if undecided.champion is None else undecided.champion.config,
    )


def source_of(search: Search) -> str:
    """Return in words where the best configuration of a search comes from."""
    return f"best_config from sweep {search['sweep_id']}"


def _judged(test: Comparison | None, margin: float) -> tuple[bool, str]:
    """Return whether the challenger is promoted, and why."""
    if test is None:
        return False, "the training window is too short to compare configurations in it"
    promoted = test.is_not_worse(margin)
    return promoted, (
        f"{'not worse' if promoted else 'not shown to be no worse'} than the champion on the last {test.origins} "
        f"origins of {test.series} series: objective {test.challenger:.4f} against {test.champion:.4f} "
        f"({test.difference:+.1%}; with 95 % confidence less than {test.upper:+.1%}, allowed {margin:+.1%})"
    )


def _test(
    settings: Settings, search: Search, champion: ForecasterConfig, challenger: ForecasterConfig
) -> Comparison | None:
    """Compare two configurations on the origins that the search left out; None if there are too few.

    Raises:
        NotFoundError: If the training dataset of the search is gone.
    """
    store = FeatureStore(settings)
    dataset = store.training_dataset(search["training_dataset_version"])
    origins = held_out(dataset.window, gap=search["gap"])
    if origins < LEAST_ORIGINS:
        return None
    history = store.read_training_dataset(dataset.version)
    frames = [
        backtest(
            history,
            end=dataset.window.end,
            fh=search["fh"],
            gap=search["gap"],
            config=config,
            threads=settings.threads,
            origins=origins,
        )
        for config in (champion, challenger)
    ]
    return None if any(frame.is_empty() for frame in frames) else compare(*frames)
