"""Which labels of a corpus are suspect: `genre suspects`, on what the pipeline has made of it.

Each track is judged by a classifier that was fitted without it: the tracks are divided into folds, with the groups of
`split.group_by` kept whole, and each fold is predicted from the others. The classifier is quick, so that the command
can be run again after labels were corrected:

- where `model.network` is musicnn, the linear head of the recipe pretrained on the features of that network;
- otherwise the linear baseline of `evaluate`, a logistic regression on the mean and the standard deviation of each mel
  band. To train a network from scratch for each fold would take as many trainings as there are folds.

`genre.suspects_table` ranks the labels by the probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre import suspects_table
from genre.audio.params import Spectrogram
from genre.console.check import check
from genre.console.progress import activity
from genre.corpus.params import DataSource
from genre.evaluation import baselines
from genre.network import hardware
from genre.network.musicnn.network import Musicnn, load_pretrained
from genre.network.params import Computation, Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings, flat, repository
from genre.prediction import outputs
from genre.spectrograms import clips, store
from genre.spectrograms.params import Clips
from genre.splits import assignment, protocols
from genre.splits.params import Split
from genre.training import calibration, head, pretrained, run_key

Logits = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Is fitted to the tracks of the first mask, with the labels `(track,)` of all tracks, and returns the logits
# `(track, clip, genre)` of the tracks of the second mask.
Classifier = Callable[[Mask, Labels, Mask], Logits]


def main(csv: Path, folds: int, group_by: str | None = None) -> None:
    """Writes the ranked table of all tracks, and prints its first rows and what to do with them.

    Args:
        csv: The file to write.
        folds: Number of folds.
        group_by: Used instead of `split.group_by`.
    """
    outputs.check_suffix(csv, ".csv", "--csv")  # it may be a file that was named by mistake, such as params.yaml
    # Folds need the protocol kfold, also if a list assigns the subsets train, valid and test.
    settings = Settings.read(overrides=["split.protocol=kfold", *([f"split.group_by={group_by}"] if group_by else [])])
    check(settings)
    with activity("reading the corpus", logged=False):
        corpus = read(settings)
        fold = assign_folds(corpus, folds=folds, seed=settings.load(Split).seed)
    with activity("computing what the classifier sees of all tracks", logged=False):
        name, classify = make_classifier(settings, corpus)
    with activity(f"predicting each of {folds} folds from the others", logged=False):
        probabilities = out_of_fold(classify, corpus.labels, fold)
    ranked = suspects_table.rank(list(corpus.table["track"]), corpus.labels, corpus.genres, probabilities)
    tables.write_csv(ranked, csv)
    print(suspects_table.as_text(ranked))
    correct = (probabilities.argmax(axis=1) == corpus.labels).mean()
    print(f"{(ranked['suspect'] == 'yes').sum()} of {len(ranked)} labels are suspect; all tracks by rank: {csv}")
    print(f"Judged by {name}, which predicts the given label of {correct:.0%} of the tracks in {folds} folds.")
    print("The lower that share, the more suspects have correct labels: listen before you change one.")
    if settings.load(Model).network != "musicnn":
        print("For music this judges better: `genre recipe pretrained`, `dvc repro spectrogram`, `genre suspects`.")


@dataclass(frozen=True)
class Corpus:
    """The tracks of a corpus and their spectrograms, as the stages `download` and `spectrogram` wrote them.

    Attributes:
        table: The tracks: columns `track, genre, group`; tracks of one group are in one fold.
        spectrograms: The store of their spectrograms.
        inputs: The two files of the store.
        group_by: How the tracks are grouped, for messages.
    """

    table: pd.DataFrame
    spectrograms: store.SpectrogramStore
    inputs: tuple[Path, Path]
    group_by: str

    @property
    def genres(self) -> list[str]:
        """The genres in alphabetical order."""
        return sorted(self.table["genre"].unique())

    @property
    def labels(self) -> Labels:
        """The number of each track's genre: `(track,)`."""
        return np.unique(self.table["genre"].to_numpy(str), return_inverse=True)[1]


def read(settings: Settings, folder: Path = Path("data")) -> Corpus:
    """Reads the tracks, their groups and their spectrograms.

    Args:
        settings: The content of params.yaml.
        folder: The folder data, in which the stages `download` and `spectrogram` wrote.

    Raises:
        ValueError: A stage has not run, or ran with other parameters; or the groups cannot be found.
    """
    paths = [folder / name for name in ("spectrograms.npy", "spectrograms.csv", "tracks.csv", "repetitions.csv")]
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} is missing; `dvc repro spectrogram` makes it, `dvc pull` fetches it")
    spectrograms, table = store.read(paths[0], paths[1]), tables.read_tracks(paths[2])
    clips.check(
        spectrograms, table["track"],
        n_mels=settings.load(Spectrogram).n_mels, clip_frames=settings.load(Clips).clip_frames,
    )  # fmt: skip
    split, pairs = settings.load(Split), tables.read_csv(paths[3], tables.REPETITIONS)
    source = settings.load(DataSource).source
    groups = assignment.groups_of(split, source, table, pairs, folder / "gtzan", folder / "lists")
    return Corpus(table[["track", "genre"]].assign(group=groups), spectrograms, (paths[0], paths[1]), split.group_by)


def make_classifier(settings: Settings, corpus: Corpus) -> tuple[str, Classifier]:
    """Chooses the classifier by `model.network`, and computes its input for all tracks.

    Returns:
        What to call it in messages, and the classifier.

    Raises:
        ValueError: `model.network` is musicnn, and its published weights are not installed.
    """
    cut, tracks = settings.load(Clips), list(corpus.table["track"])
    if settings.load(Model).network == "musicnn":
        return "the head of the recipe pretrained", on_features(_features(settings, corpus, cut, tracks))
    values = clips.clips_of(corpus.spectrograms, tracks, **cut.model_dump())
    return "the linear baseline", on_spectra(
        values.reshape(len(tracks), cut.clips_per_track, *values.shape[1:]), corpus.genres
    )


def _features(settings: Settings, corpus: Corpus, cut: Clips, tracks: list[str]) -> npt.NDArray[np.float32]:
    """Computes the features of all clips, or takes those of an earlier call on the same spectrograms."""
    computation = settings.load(Computation)
    device = hardware.choose_hardware(computation.device, computation.precision)
    network = Musicnn(genres=len(corpus.genres))
    network.trunk = load_pretrained()
    device.place(network.eval())
    key = run_key.run_key(corpus.inputs, {"tracks": tracks, **flat(cut)}, vars(device))
    path = repository() / ".checkpoints" / f"{key}.pt"
    return pretrained.compute_features(network, corpus.spectrograms, tracks, cut, device, path)


def on_features(features: npt.NDArray[np.float32]) -> Classifier:
    """Makes the classifier on features of the pretrained network: `(track, clip, feature)`."""

    def classify(train: Mask, labels: Labels, test: Mask) -> Logits:
        layer = head.fit_head(features[train], labels[train])
        weights, biases = (part.detach().numpy().astype(np.float64) for part in (layer.weight, layer.bias))
        return features[test] @ weights.T + biases

    return classify


def on_spectra(values: npt.NDArray[np.float16], genres: Sequence[str]) -> Classifier:
    """Makes the classifier on the spectra of clips, `(track, clip, mel, frame)`; genres are in alphabetical order."""
    tracks, per_track, *shape = values.shape
    seen = baselines.features(values.reshape(-1, *shape))["linear"].reshape(tracks, per_track, -1)

    def classify(train: Mask, labels: Labels, test: Mask) -> Logits:
        actual = [genres[int(label)] for label in labels[train].repeat(per_track)]
        found = baselines.probabilities("linear", np.concatenate(seen[train]), actual, np.concatenate(seen[test]))
        return np.asarray(np.log(found.clip(calibration.LEAST_PROBABILITY)).reshape(-1, per_track, found.shape[1]))

    return classify


def assign_folds(corpus: Corpus, *, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Divides the tracks into folds with about the same share of each genre, groups kept whole: `(track,)`.

    Raises:
        ValueError: There is one fold, or a genre has fewer groups than there are folds.
    """
    groups = corpus.table.groupby("genre")["group"].nunique()
    if folds < 2:
        raise ValueError(f"--folds must be at least 2, got {folds}")
    if groups.min() < folds:
        raise ValueError(
            f"each genre must have as many groups of tracks as there are --folds ({folds}), with split.group_by "
            f"{corpus.group_by} {groups.idxmin()!r} has {groups.min()}; lower --folds, give another --group-by, or add "
            "recordings"
        )
    fold = np.empty(len(corpus.table), np.int64)
    for number in range(folds):
        subsets = protocols.kfold(corpus.table, folds=folds, fold=number, seed=seed, groups=list(corpus.table["group"]))
        fold[(subsets == "test").to_numpy()] = number
    return fold


def out_of_fold(classify: Classifier, labels: Labels, fold: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Predicts each fold from the others, and calibrates by one temperature: probabilities `(track, genre)`."""
    parts = [(fold == number, classify(fold != number, labels, fold == number)) for number in range(fold.max() + 1)]
    logits = np.empty((len(labels), *parts[0][1].shape[1:]))
    for tested, found in parts:
        logits[tested] = found
    return calibration.track_probabilities(logits, calibration.fit_temperature(logits, labels))
