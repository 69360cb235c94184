"""HTTP interface to forecasts, observations, monitoring, models, data quality and provenance."""
