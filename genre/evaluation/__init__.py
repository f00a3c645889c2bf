"""Metrics, tables of predictions, and the simpler systems to compare with."""
