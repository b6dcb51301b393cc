"""Metrics: pure functions from arrays of features to numbers, in float64, each with its paper."""
