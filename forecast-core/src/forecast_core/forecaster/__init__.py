"""The forecaster: fit, predict, evaluate, save and load. Needs the extra ``model``."""

from forecast_core.forecaster.config import DEFAULT, ForecasterConfig
from forecast_core.forecaster.evaluation import Evaluation, evaluate
from forecast_core.forecaster.fitting import evaluate_and_fit, fit
from forecast_core.forecaster.intervals import Calibration
from forecast_core.forecaster.model import Forecaster
from forecast_core.forecaster.naive import seasonal_naive
from forecast_core.forecaster.storage import load

__all__ = [
    "DEFAULT",
    "Calibration",
    "Evaluation",
    "Forecaster",
    "ForecasterConfig",
    "evaluate",
    "evaluate_and_fit",
    "fit",
    "load",
    "seasonal_naive",
]
