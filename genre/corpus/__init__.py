"""Recordings: where they come from, what a folder holds, and the synthetic corpus."""
