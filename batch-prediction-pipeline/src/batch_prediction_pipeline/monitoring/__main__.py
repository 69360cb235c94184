"""Monitoring from a shell: ``python -m batch_prediction_pipeline.monitoring --help``."""

import sys

from batch_prediction_pipeline.__main__ import main

if __name__ == "__main__":
    sys.exit(main(step="monitor"))
