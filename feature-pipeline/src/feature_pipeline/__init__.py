"""Extract, transform, validate and store hourly electricity consumption; create feature views and training datasets."""
