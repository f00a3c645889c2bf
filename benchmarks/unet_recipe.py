"""Compares variants of the recipe `unet` on one split: `python -m benchmarks.unet_recipe --help`.

`train` trains one variant with one seed on the tracks that a split table assigns to `train`. It appends what the
network reaches on the tracks of `valid` to a file of JSON lines: a line after each of the last epochs asked for, one
after the last epoch, and one for the exponential moving average of all weights (EMA). Nothing is chosen on `valid`.

`table` prints the mean over the seeds of each variant, its 95 % interval over tracks, and the difference from the
baseline, track by track. For a variant with lines of several epochs it also says what the choice of the best epoch is
worth: the epoch is chosen on half of the tracks and judged on the other half, for many random halves.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from genre.evaluation.merging import merge_clips
from genre.network.hardware import Hardware, choose_hardware, seed_everything
from genre.network.inference import compute_logits
from genre.network.unet import GenreNet
from genre.pipeline.settings import Settings
from genre.spectrograms import store
from genre.spectrograms.clips import clips_of
from genre.study_table import interval, percentiles
from genre.training import loop
from genre.training.batches import TrainingClips, epoch_seed
from genre.training.params import Augment, Train
from genre.training.tracks import place_tracks

PARAMS = Settings.read(Path(__file__).parents[1] / "params.yaml")
CLIPS = 5
HALVES = 200
COLUMNS = ("clips_correct", "correct")


class Variant(BaseModel):
    """What a training is made with; the default values are those of the recipe before the study.

    Attributes:
        crop_frames: Length of training clips; those that are evaluated have `clip_frames`.
        mixup: Both parameters of the Beta distribution of the mixing weight (Zhang et al. 2018); 0 turns it off.
        stretch: Probability of another tempo and pitch, see `genre.training.augment.stretch`.
        style: Probability of another style, see `mix_styles` there.
        equaliser: Probability of a smooth random curve over the mel bands, of at most 10 dB.
        pool: `mean` over time and frequency, or `mean-max`: with it the maximum over time of the mean over frequency.
        standardised: Whether each mel band is standardised before the network.
        mask_fill: What masks are filled with: `floor`, the value 0, or `mean`, that of the clip.
        tracks_per_genre: Of the training tracks, drawn by the seed; 0 takes all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = 18
    crops: int = 5
    crop_frames: int = 64
    clip_frames: int = 64
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    dropout: float = 0.3
    mixup: float = 0.0
    stretch: float = 0.0
    style: float = 0.0
    equaliser: float = 0.0
    pool: str = "mean"
    standardised: bool = False
    shift: float = 0.35
    masks: float = 0.35
    noise: float = 0.35
    mask_fill: str = "floor"
    tracks_per_genre: int = 0

    @property
    def augmentation(self) -> dict[str, Any]:
        """The keyword arguments of `genre.training.augment.augment`; sizes not named here are those of params.yaml."""
        return PARAMS.load(Augment).model_dump() | {
            "stretch_probability": self.stretch, "style_probability": self.style, "mask_fill": self.mask_fill,
            "noise_probability": self.noise, "shift_probability": self.shift,
            "time_mask_probability": self.masks, "mel_mask_probability": self.masks,
            "equaliser_probability": self.equaliser, "equaliser_level": 0.13,
        }  # fmt: skip

    def train_params(self, seed: int, decay: float) -> Train:
        """Returns the section `train` of this variant, with an average of the weights."""
        named = self.model_dump(include=set(Train.model_fields))
        return PARAMS.load(Train).model_copy(update=named | {"seed": seed, "average": decay})


class MeanMax(nn.Module):
    """`(batch, channel, mel, frame)` -> `(batch, 2 * channel)`: mean over both, and maximum over time of the mean."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.cat([x.mean((2, 3)), x.mean(2).amax(2)], dim=1)


def build(variant: Variant, genres: int, n_mels: int) -> nn.Module:
    """Makes the network of a variant, with weights from the global generator of random numbers."""
    network = GenreNet(genres=genres, n_mels=n_mels, clip_frames=variant.crop_frames, dropout=variant.dropout)
    if variant.pool == "mean-max" and isinstance(network.pool, nn.Sequential):
        network.pool[0] = MeanMax()
        network.classify = nn.Linear(2 * network.classify.in_features, genres)
    return nn.Sequential(nn.BatchNorm1d(n_mels, affine=False), network) if variant.standardised else network


@dataclass(frozen=True)
class Experiment:
    """One training of a variant and where its results go."""

    spectrograms: store.SpectrogramStore
    table: pd.DataFrame
    variant: Variant
    seed: int
    hardware: Hardware
    results: Path
    tag: str

    @property
    def genres(self) -> list[str]:
        """The names of the genres, in alphabetical order."""
        return sorted(self.table["genre"].unique())

    def subset(self, name: str) -> tuple[list[str], list[int]]:
        """Returns the tracks of a subset and the numbers of their genres."""
        rows, count = self.table[self.table["subset"] == name], self.variant.tracks_per_genre
        if count and name == "train":
            random = np.random.default_rng(self.seed)
            rows = pd.concat(part.iloc[random.permutation(len(part))[:count]] for _, part in rows.groupby("genre"))
        return list(rows["track"]), [self.genres.index(genre) for genre in rows["genre"]]

    def network(self) -> nn.Module:
        """Makes the network, in the memory layout in which it is fastest."""
        network = build(self.variant, len(self.genres), self.spectrograms.values.shape[1])
        self.hardware.place(network)
        return network

    def train(self, read_epochs: int, decay: float) -> None:
        """Trains, and reads out the last `read_epochs` epochs before the last one, the last one, and the average."""
        start, variant = time.perf_counter(), self.variant
        seed_everything(self.seed)
        clips = TrainingClips(
            place_tracks(self.spectrograms, *self.subset("train"), self.hardware),
            variant.crops, variant.crop_frames, "even", "random", variant.augmentation, variant.mixup, self.seed,
        )  # fmt: skip
        trainer = loop.make_trainer(self.network(), clips, variant.train_params(self.seed, decay), self.hardware)
        for epoch in range(1, variant.epochs + 1):
            torch.manual_seed(epoch_seed(self.seed, epoch))  # of dropout
            loss, _ = trainer.epoch(epoch)
            print(f"epoch {epoch}: loss {loss:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
            if variant.epochs - read_epochs <= epoch < variant.epochs:
                self.read_out("epoch", epoch, trainer.network.state_dict(), start)
        self.read_out("last", variant.epochs, trainer.network.state_dict(), start)
        self.read_out(f"average {decay}", variant.epochs, trainer.kept.state_dict(), start)

    def read_out(self, what: str, epoch: int, state: Mapping[str, Tensor], start: float) -> None:
        """Appends a line: accuracy and mean log loss by clip and by track, and which tracks are correct."""
        tracks, labels = self.subset("valid")
        network = self.network()
        network.load_state_dict(state)
        clips = clips_of(
            self.spectrograms, tracks, clips_per_track=CLIPS, clip_frames=self.variant.clip_frames, clip_spacing="even"
        )
        logits = compute_logits(network, torch.from_numpy(clips), hardware=self.hardware)
        by_clip = logits.softmax(1).view(len(tracks), CLIPS, -1).double().numpy()
        by_track, actual = merge_clips(by_clip), np.array(labels)
        correct = by_track.argmax(axis=1) == actual
        clips_correct = (by_clip.argmax(axis=2) == actual[:, None]).sum(axis=1)
        row = {
            "tag": self.tag, "seed": self.seed, "what": what, "epoch": epoch,
            "track": float(correct.mean()),
            "clip": float(clips_correct.mean() / CLIPS),
            "nll": float(-np.log(by_track[np.arange(len(actual)), actual]).mean()),
            "seconds": round(time.perf_counter() - start),
            "correct": dict(zip(tracks, correct.astype(int).tolist(), strict=True)),
            "clips_correct": dict(zip(tracks, clips_correct.tolist(), strict=True)),
            "variant": self.variant.model_dump(),
        }  # fmt: skip
        with self.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({key: row[key] for key in ("tag", "what", "epoch", "track", "clip", "nll", "seconds")}, flush=True)


def print_table(rows: pd.DataFrame, baseline: str) -> None:
    """Prints each variant's read-outs beside the baseline's last epoch with the same seeds.

    Args:
        rows: The lines of a file of results.
        baseline: The tag of the variant that the others are compared with.
    """
    keys = ["tag", "what", "epoch"]
    of_baseline = rows[(rows["tag"] == baseline) & (rows["what"] == "last")]
    print(
        "| variant | read-out | epoch | seeds | by track (95 %) | by clip | log loss | less the baseline (95 %) | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for (tag, what, epoch), group in rows.groupby(keys, sort=False):
        correct = _by_track(group, "correct")
        low, high = interval(np.stack([correct.sum(axis=1), correct.count(axis=1)], axis=1))
        before = _by_track(of_baseline[of_baseline["seed"].isin(group["seed"])], "correct").mean(axis=1)
        gain = (correct.mean(axis=1) - before).dropna()
        worse, better = percentiles(np.stack([gain, np.ones(len(gain))], axis=1))
        print(
            f"| {tag} | {what} | {epoch} | {len(group)} | {group['track'].mean():.1%} ({low:.1%} to {high:.1%}) "
            f"| {group['clip'].mean():.1%} | {group['nll'].mean():.3f} "
            f"| {100 * gain.mean():+.1f} ({100 * worse:+.1f} to {100 * better:+.1f}) | {group['seconds'].mean():.0f} |"
        )


def print_choice(rows: pd.DataFrame) -> None:
    """Prints what choosing the epoch on one half of the tracks, by clip accuracy, gives on the other half."""
    for (tag, seed), group in rows[rows["what"].isin(["epoch", "last"])].groupby(["tag", "seed"]):
        if len(group) > 1:
            clips, tracks = (_by_track(group.sort_values("epoch"), column).to_numpy() for column in COLUMNS)
            random, gains, same = np.random.default_rng(0), [], 0
            for _ in range(HALVES):
                half = random.permutation(len(clips)) < len(clips) // 2
                best = clips[half].mean(axis=0).argmax()
                gains.append(tracks[~half, best].mean() - tracks[~half, -1].mean())
                same += best == len(group) - 1
            print(
                f"{tag}, seed {seed}: the best of the last {len(group)} epochs by another half's clips, less the last "
                f"epoch: {100 * np.mean(gains):+.1f} points by track; it was the last one in {same} of {HALVES} halves"
            )


def _by_track(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Returns a column of dictionaries as a table `(track, row)`."""
    return pd.DataFrame(list(rows[column])).T


def main() -> None:
    """Trains a variant or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    train = commands.add_parser("train", help="train one variant with one seed")
    for name in ("spectrograms", "index", "split", "results"):
        train.add_argument(name, type=Path)
    train.add_argument("tag", help="the variant's name in the table")
    train.add_argument("values", nargs="*", help="what differs from the recipe, as batch_size=32; see Variant")
    train.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    train.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    train.add_argument("--precision", default="float32", help="auto, float32 or bfloat16 (default: %(default)s)")
    train.add_argument("--read-epochs", type=int, default=0, help="epochs before the last to evaluate too")
    train.add_argument("--decay", type=float, default=0.99, help="of the moving average (default: %(default)s)")
    table = commands.add_parser("table", help="print the results")
    table.add_argument("results", type=Path)
    table.add_argument("--baseline", required=True, help="its tag")
    arguments = parser.parse_args()
    if arguments.command == "table":
        rows = pd.read_json(arguments.results, lines=True)
        print_table(rows, arguments.baseline)
        print_choice(rows)
        return
    torch.set_num_threads(arguments.threads)
    variant = Variant.model_validate(dict(value.split("=", 1) for value in arguments.values))
    Experiment(
        store.read(arguments.spectrograms, arguments.index), pd.read_csv(arguments.split), variant, arguments.seed,
        choose_hardware("auto", arguments.precision), arguments.results, arguments.tag,
    ).train(arguments.read_epochs, arguments.decay)  # fmt: skip


if __name__ == "__main__":
    main()
