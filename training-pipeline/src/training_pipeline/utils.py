"""What users' own DAGs import besides the pipeline itself."""

import logging

from forecast_core import tracking
from forecast_core.settings import Settings


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``name``, with messages from INFO up going to stderr where nobody has set logging up yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return logging.getLogger(name)


def check_if_artifact_exists(artifact_name: str, *, settings: Settings | None = None) -> bool:
    """Return whether an artifact, such as ``best_config``, has ever been uploaded.

    Raises:
        TrackingError: If the tracking database is locked or does not answer.
    """
    runs = tracking.find_runs(settings or Settings(), {"artifact": artifact_name})
    return any(run.status == "FINISHED" for run in runs)
