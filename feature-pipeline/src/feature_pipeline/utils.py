"""What users' own DAGs import besides the pipeline itself."""

import logging


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``name``, with messages from INFO up going to stderr where nobody has set logging up yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return logging.getLogger(name)
