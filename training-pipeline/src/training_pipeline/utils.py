"""What users' own DAGs import besides the pipeline itself."""

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.program import get_logger
from forecast_core.tracking import Searches
from training_pipeline.best_config import ARTIFACT

__all__ = ["check_if_artifact_exists", "get_logger"]


def check_if_artifact_exists(artifact_name: str, *, settings: Settings | None = None) -> bool:
    """Return whether an artifact, such as ``best_config``, has ever been uploaded.

    Raises:
        StorageError: If the store cannot be read now.
        TrackingError: If the tracking database is locked or does not answer.
    """
    settings = settings or Settings()
    if artifact_name == ARTIFACT:
        return bool(Searches(settings).uploaded())
    return any(run.status == "FINISHED" for run in tracking.find_runs(settings, {"artifact": artifact_name}))
