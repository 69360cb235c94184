"""Monitoring: score archived forecasts, judge them, and watch for what is missing."""

from batch_prediction_pipeline.monitoring.run import compute

__all__ = ["compute"]
