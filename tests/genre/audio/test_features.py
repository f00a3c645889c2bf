import numpy as np
import pytest
import soundfile

from genre.audio import features
from genre.audio.params import Spectrogram
from tests.conftest import RATE, tone
from tests.genre.audio.clusters import LocalCluster

SECTION = Spectrogram(sample_rate=RATE, n_fft=2048, hop_length=1024, n_mels=32, f_max=RATE / 2)


def recordings(folder, count):
    paths = [folder / f"{number}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        soundfile.write(path, tone(220 + 20 * number, 2.0 + number % 3), RATE)
    return paths


def check_equal(found, wanted):
    assert len(found) == len(wanted)
    for (mel_specgram, mark), (wanted_mel_specgram, wanted_mark) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(mel_specgram, wanted_mel_specgram)
        np.testing.assert_array_equal(mark, wanted_mark)


def test_the_features_of_many_recordings_are_those_of_each_in_order(tmp_path):
    paths = recordings(tmp_path, 5)
    found = list(features.analyse_all(paths, SECTION))
    check_equal(found, [features.analyse(SECTION, path) for path in paths])
    assert [mel_specgram.shape for mel_specgram, _ in found[:2]] == [(44, 32), (65, 32)]


def test_a_recording_without_result_is_named_in_a_line(tmp_path):
    paths = recordings(tmp_path, 2)
    paths[1].write_bytes(b"RIFF and no more")
    wanted = (
        r"1\.wav must be decodable, as it was when .*: cannot be decoded: .*; run again, and if it fails again, take"
    )
    with pytest.raises(ValueError, match=wanted):
        list(features.analyse_all(paths, SECTION))


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_though_a_worker_is_killed(tmp_path, monkeypatch):
    paths = recordings(tmp_path, 60)
    with LocalCluster() as local:
        monkeypatch.setenv("GENRE_DASK", local.address)
        first, _ = local.worker(), local.worker()
        found = []
        for result in features.analyse_all(paths, SECTION):
            found.append(result)
            if len(found) == 10:
                local.end(first)
    check_equal(found, [features.analyse(SECTION, path) for path in paths])
