"""The figures of the stage `plots` and of `genre predict`."""
