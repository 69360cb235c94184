"""Fakes of the outside world that keep its contracts: for tests and for trying the system, not for production code."""

from feature_pipeline.testing import faults
from feature_pipeline.testing.energi_data_service import EnergiDataService, Request
from feature_pipeline.testing.published import api_rows, demo_rows

__all__ = ["EnergiDataService", "Request", "api_rows", "demo_rows", "faults"]
