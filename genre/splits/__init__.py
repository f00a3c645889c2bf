"""Assigns tracks to the subsets train, valid and test."""
