"""Tables, on-disk formats, forecaster, metrics, settings and errors that the pipelines agree on."""
