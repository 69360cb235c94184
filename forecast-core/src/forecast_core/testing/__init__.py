"""Fakes of the outside world that keep its contracts: for tests and for trying the system, not for production code."""

from forecast_core.testing import faults
from forecast_core.testing.airflow import Airflow
from forecast_core.testing.energi_data_service import EnergiDataService, Request
from forecast_core.testing.published import api_rows, demo_rows

__all__ = ["Airflow", "EnergiDataService", "Request", "api_rows", "demo_rows", "faults"]
