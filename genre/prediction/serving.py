"""The trained model as MLflow's `models serve` calls it; MLflow stores this code with the model."""

import base64
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from genre.prediction.predictor import Predictor

NEITHER = "a request must have audio, a file's bytes in base64, or path; got neither"


class Served:
    """Answers requests, a recording a row."""

    def __init__(self, model_pt: Path) -> None:
        self.predictor = Predictor(model_pt)

    def predict(self, requests: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Returns `genre` and `probabilities` (genre -> probability) for each row.

        Args:
            requests: A row has `audio`, a file's bytes in base64, or `path`, a file on the server.
            params: MLflow's, of which there are none.

        Raises:
            MlflowException: A row has neither, or its recording cannot be decoded; the message names the row, from 0.
                MLflow answers with this message and status 400; to any other error it adds the server's stack trace.
        """
        from mlflow.exceptions import MlflowException

        del params
        answers = []
        # MLflow leaves out other columns; where nothing is left, there are no rows either.
        if not {"audio", "path"} & set(requests.columns):
            raise MlflowException.invalid_parameter_value(f"row 0: {NEITHER}")
        for number, row in enumerate(requests.to_dict("records")):
            try:
                answers.append(self._answer(row))
            except (ValueError, OSError) as error:
                raise MlflowException.invalid_parameter_value(f"row {number}: {error}") from error
        return pd.DataFrame(answers, columns=["genre", "probabilities"])

    def _answer(self, row: dict[str, Any]) -> dict[str, Any]:
        audio, path = row.get("audio"), row.get("path")
        if isinstance(audio, str):
            with tempfile.NamedTemporaryFile(prefix="audio-") as file:
                file.write(_decoded(audio))
                file.flush()
                try:
                    predicted = self.predictor.predict(Path(file.name))
                except (ValueError, OSError) as error:  # its message names a temporary file of the server
                    raise ValueError(str(error).replace(file.name, "audio")) from error
        elif isinstance(path, str):
            if not Path(path).is_file():  # a pipe, for example, would be waited for
                raise ValueError(f"path must be a file on the server, there is none at {path!r}")
            predicted = self.predictor.predict(Path(path))
        else:
            raise ValueError(NEITHER)
        return {"genre": predicted.genre, "probabilities": predicted.by_genre()}


def _decoded(audio: str) -> bytes:
    try:
        return base64.b64decode(audio, validate=True)
    except ValueError as error:
        raise ValueError(f"audio must be the bytes of a file in base64: {error}") from None


def _load_pyfunc(data_path: str) -> Served:
    """Called by MLflow with the path of the model file."""
    return Served(Path(data_path))
