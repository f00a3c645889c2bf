"""The line that a stage shows while it imports libraries, which takes longer than all else that a short stage does."""

from contextlib import ExitStack

from genre.console.progress import activity

_shown = ExitStack()


def begin(what: str) -> None:
    """Shows the line, until `end`."""
    _shown.enter_context(activity(what))


def end() -> None:
    """Ends the line, if one was begun."""
    _shown.close()
