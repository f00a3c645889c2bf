"""The store of spectrograms, and how tracks are cut into clips."""
