"""What users' own DAGs import besides the pipeline itself."""

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.program import get_logger

__all__ = ["check_if_artifact_exists", "get_logger"]


def check_if_artifact_exists(artifact_name: str, *, settings: Settings | None = None) -> bool:
    """Return whether an artifact, such as ``best_config``, has ever been uploaded.

    Raises:
        TrackingError: If the tracking database is locked or does not answer.
    """
    runs = tracking.find_runs(settings or Settings(), {"artifact": artifact_name})
    return any(run.status == "FINISHED" for run in runs)
