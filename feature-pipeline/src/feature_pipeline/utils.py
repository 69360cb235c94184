"""What users' own DAGs import besides the pipeline itself."""

from forecast_core.program import get_logger

__all__ = ["get_logger"]
