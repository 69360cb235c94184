"""The feature store: observations with their revisions, ingests, feature views and training datasets."""

from forecast_core.feature_store.ingests import Ingest
from forecast_core.feature_store.removal import RemovedValues
from forecast_core.feature_store.revisions import IngestCounts
from forecast_core.feature_store.store import TABLES, FeatureStore
from forecast_core.feature_store.training_datasets import TrainingDataset
from forecast_core.feature_store.views import FeatureView

__all__ = ["TABLES", "FeatureStore", "FeatureView", "Ingest", "IngestCounts", "RemovedValues", "TrainingDataset"]
