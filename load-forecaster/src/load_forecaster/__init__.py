"""Fit, predict, evaluate, save and load a forecaster of many hourly load series."""

from load_forecaster.config import DEFAULT, ForecasterConfig
from load_forecaster.evaluation import Evaluation, Measures, evaluate
from load_forecaster.fitting import evaluate_and_fit, fit
from load_forecaster.intervals import Calibration
from load_forecaster.model import Forecaster
from load_forecaster.naive import seasonal_naive
from load_forecaster.storage import load, save

__all__ = [
    "DEFAULT",
    "Calibration",
    "Evaluation",
    "Forecaster",
    "ForecasterConfig",
    "Measures",
    "evaluate",
    "evaluate_and_fit",
    "fit",
    "load",
    "save",
    "seasonal_naive",
]
