"""What tests of predictions need: files of every format that can be tagged."""

import pytest

from genre.audio import parallel
from genre.audio.processes import Failure
from tests.genre.audio.sounds import encoded, tone

FORMATS = {
    "mp3": ("libmp3lame", "mp3", 44100), "m4a": ("aac", "ipod", 44100), "flac": ("flac", "flac", 44100),
    "ogg": ("vorbis", "ogg", 44100), "opus": ("libopus", "ogg", 48000), "wav": ("pcm_s16le", "wav", 44100),
    "aiff": ("pcm_s16be", "aiff", 44100), "oga": ("flac", "ogg", 44100),
}  # fmt: skip


@pytest.fixture(autouse=True)
def in_this_process(request, monkeypatch):
    """Decodes here, which is faster; `processes` marks a test that is about the processes."""

    def outcome(function, item):
        try:
            return function(item)
        except ValueError as error:
            return Failure(str(error))

    if "processes" not in request.fixturenames:
        monkeypatch.setattr(
            parallel, "map_files", lambda function, items, **options: (outcome(function, item) for item in items)
        )


@pytest.fixture
def processes():
    """Decodes in processes, as for a user."""


@pytest.fixture(scope="session")
def sounds():
    """The bytes of a short recording in each format, without tags of the user's."""
    return {
        suffix: encoded(codec, form, tone(440, 0.5, rate), rate, codec_options={"strict": "experimental"})
        for suffix, (codec, form, rate) in FORMATS.items()
    }
