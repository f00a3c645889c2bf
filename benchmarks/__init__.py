"""Commands that measure; docs/benchmarks.md holds what they printed."""
