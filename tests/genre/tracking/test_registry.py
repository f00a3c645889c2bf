import base64
import tempfile

import pandas as pd
import pytest
import soundfile
from mlflow.exceptions import MlflowException

from genre.network import model_file, unet
from genre.prediction import example, serving
from genre.tracking import registry
from tests.architecture import ROOT, closure
from tests.conftest import tone

SIZES = {"n_mels": 32, "clip_frames": 32, "network": "unet", "base_channels": 1}
SPECTROGRAM = {"sample_rate": 8000, "n_fft": 512, "hop_length": 512, "n_mels": 32, "f_max": 4000.0}
CUTTING = {"clips_per_track": 2, "clip_frames": 32, "clip_spacing": "even"}


@pytest.fixture
def model_pt(tmp_path):
    network = unet.GenreNet(genres=2, **SIZES)
    path = tmp_path / "models" / "model.pt"
    model_file.save(
        path, network, network_params=SIZES, genres=["a", "b"], clip_params=CUTTING, spectrogram=SPECTROGRAM,
        calibration={"temperature": 1.0, "unsure_below": 0.0}, credits={},
    )  # fmt: skip
    return path


def test_the_code_that_goes_with_a_model_is_all_that_serving_imports():
    wanted = closure(ROOT / "genre/prediction/serving.py")
    assert {f"genre/{name}.py" for name in registry.MODULES} == {
        name for name in wanted if not name.endswith("__init__.py")
    }


def test_the_environment_has_exact_versions_and_no_local_builds():
    lines = registry.requirements()
    assert all(line.count("==") == 1 and "+" not in line and "://" not in line for line in lines)
    assert "torch==2.11.0" in lines


def test_bytes_and_path_of_a_recording_get_the_same_answer(model_pt, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(seconds=5, rate=8000), 8000)
    served = serving._load_pyfunc(str(model_pt))
    requests = pd.DataFrame(
        {
            "audio": [base64.b64encode((tmp_path / "a.wav").read_bytes()).decode(), None],
            "path": [None, str(tmp_path / "a.wav")],
        }
    )
    by_bytes, by_path = served.predict(requests).to_dict("records")
    assert by_bytes == by_path
    assert set(by_path["probabilities"]) == {"a", "b"}
    assert sum(by_path["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_the_example_is_a_request_that_gets_an_answer(model_pt):
    assert len(serving._load_pyfunc(str(model_pt)).predict(example.request())) == 1
    assert len(base64.b64encode(example.recording())) < 50_000


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"path": None}, "row 0: a request must have audio, a file's bytes in base64, or path; got neither"),
        ({"file": "a.wav"}, "row 0: a request must have audio, a file's bytes in base64, or path; got neither"),
        ({"audio": base64.b64encode(b"no music").decode()}, "row 0: cannot be decoded"),
        ({"audio": "abc"}, "row 0: audio must be the bytes of a file in base64: Incorrect padding"),
        ({"path": "/no/such.wav"}, "row 0: path must be a file on the server, there is none at '/no/such.wav'"),
    ],
)
def test_a_request_that_cannot_be_answered_is_told_by_its_row(model_pt, request_, message):
    with pytest.raises(MlflowException, match=message) as raised:
        serving._load_pyfunc(str(model_pt)).predict(pd.DataFrame([request_]))
    assert raised.value.get_http_status_code() == 400
    assert tempfile.gettempdir() not in raised.value.message
    assert "stack_trace" not in raised.value.serialize_as_json()


class Versions:
    """Stands in for MLflow's client: model versions with tags, and the aliases that are set."""

    def __init__(self, *tags):
        self.aliases = {}
        self.versions = [Version(str(number), tag) for number, tag in enumerate(tags, start=1)]

    def search_model_versions(self, *args, **kwargs):
        return self.versions

    def get_registered_model(self, name):
        return self

    def set_registered_model_alias(self, name, alias, version):
        self.aliases[alias] = version


class Version:
    def __init__(self, version, tags):
        self.version, self.tags = version, tags


class Store:
    def __init__(self, client):
        self.client = client

    def lock(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None


def ranked(low, accuracy, source):
    return {"valid.track_accuracy_low": str(low), "valid.track_accuracy": str(accuracy), "data.source": source}


def test_the_champion_is_the_best_of_real_recordings_and_each_source_has_its_own():
    client = Versions(
        ranked(0.51, 1.0, "local"), ranked(0.7, 0.9, "synthetic"), ranked(0.6, 0.8, "gtzan"), {"data.source": "gtzan"}
    )
    registry.update_aliases(Store(client))
    assert client.aliases == {"champion": "3", "champion-local": "1", "champion-synthetic": "2", "champion-gtzan": "3"}


def test_of_equal_models_the_oldest_stays_champion():
    client = Versions(*[ranked(0.7, 0.9, "gtzan")] * 11)
    registry.update_aliases(Store(client))
    assert client.aliases["champion"] == "1"
