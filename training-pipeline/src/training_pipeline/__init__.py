"""Tune, train, evaluate and register the forecaster."""
