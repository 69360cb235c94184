"""The command ``energy``: the pipelines, their forecasts and their state, for people at a terminal."""
