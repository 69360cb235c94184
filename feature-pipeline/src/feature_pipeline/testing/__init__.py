"""Fakes of external services that keep their contracts: for tests and trials, not for production code."""

from feature_pipeline.testing import faults
from feature_pipeline.testing.energi_data_service import EnergiDataService, Request
from feature_pipeline.testing.published import api_rows, demo_rows

__all__ = ["EnergiDataService", "Request", "api_rows", "demo_rows", "faults"]
