"""Recipes: configurations that this version of the code can use, and where they come from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.tracking import Promotion
from load_forecaster import DEFAULT, ForecasterConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A configuration, and in words where it comes from."""

    config: ForecasterConfig
    source: str

    def config_text(self) -> str:
        """Return the configuration as a model version carries it."""
        return str(tracking.config_text(self.config.to_dict()))


SHIPPED = Choice(DEFAULT, "default")
"""What a run trains with where nothing was ever promoted."""


def readable(config: Mapping[str, Any]) -> ForecasterConfig | None:
    """Return a configuration, or None if this version of the code cannot use it."""
    try:
        return ForecasterConfig.from_dict(dict(config))
    except InvalidArgument as error:
        logger.warning("a configuration is not for this version of the code: %s", error)
        return None


def choice_of(champion: Promotion | None) -> Choice | None:
    """Return the champion's configuration, or None if this version of the code cannot use it."""
    if champion is None or champion.config is None:
        return SHIPPED
    config = readable(champion.config)
    return None if config is None else Choice(config, champion.source)
