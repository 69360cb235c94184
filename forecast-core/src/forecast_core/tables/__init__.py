"""The generic Delta layer: open, read one version, commit by optimistic concurrency, replace by key, upkeep."""
