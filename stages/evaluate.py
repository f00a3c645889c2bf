"""Stage evaluate: predicts all clips with the model and with simpler systems, and computes the metrics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from genre.console import stage
from genre.console.progress import activity, progress
from genre.evaluation import baselines, metrics, predictions, pretrained_baseline, report
from genre.network import hardware, inference, model_file
from genre.network.params import Computation
from genre.pipeline import files, tables
from genre.pipeline.settings import Settings
from genre.spectrograms import clips, store
from genre.tracking import results


def main(
    settings: Settings, values: Path, index: Path, split_csv: Path, leaks_csv: Path, model_pt: Path, folder: Path
) -> None:
    """Writes the tables of predictions and the metrics into `folder`."""
    computation = settings.load(Computation)
    tracked = results.begin()
    network, content = model_file.load(model_pt)
    spectrograms, table = store.read(values, index), tables.read_csv(split_csv, tables.SPLIT)
    clips.check(
        spectrograms, table["track"],
        n_mels=content["spectrogram"]["n_mels"], clip_frames=content["clip_params"]["clip_frames"],
    )  # fmt: skip
    hardware.seed_everything(computation.seed)
    device = hardware.choose_hardware(computation.device, computation.precision)
    device.place(network)
    temperature, unsure_below = content["calibration"]["temperature"], content["calibration"]["unsure_below"]

    def blocks() -> Iterator[npt.NDArray[np.float16]]:
        return clips.blocks_of(spectrograms, list(table["track"]), **content["clip_params"])

    probabilities, seen = [], []
    with progress("predicting all clips", len(table) * content["clip_params"]["clips_per_track"], "clip") as bar:
        for cuts in blocks():
            predicted = inference.predict(network, torch.from_numpy(cuts), hardware=device, temperature=temperature)
            probabilities.append(predicted.numpy())
            seen.append(baselines.features(cuts))
            bar.update(len(cuts))

    genres = content["genres"]
    of_clips = predictions.of_clips(table, genres, np.concatenate(probabilities))
    with activity("fitting the simpler systems"):
        simpler = baselines.predict_all(table, genres, {
            system: np.concatenate([block[system] for block in seen]) for system in baselines.SYSTEMS
        })  # fmt: skip
    if pretrained_baseline.is_at_hand(content, table):
        with activity("fitting the pretrained baseline"):
            seed = computation.seed
            simpler["pretrained"] = pretrained_baseline.predict(table, genres, blocks(), seed=seed, hardware=device)
    subsets = [subset for subset in tables.SUBSETS if (table["subset"] == subset).any()]
    with activity("computing the metrics"):
        scores = metrics.by_subset(of_clips, subsets, unsure_below)
    tables.write_csv(of_clips, folder / "predictions.csv")
    tables.write_csv(predictions.by_track(of_clips), folder / "tracks.csv")
    report.write_confusion(of_clips, folder / "confusion")
    report.write_baselines(simpler, folder / "baselines")
    files.write_json(report.per_genre(of_clips, subsets), folder / "per_genre.json")
    files.write_json({name: metrics.by_subset(rows, subsets[1:]) for name, rows in simpler.items()},
                     folder / "baselines.json")  # fmt: skip
    leaks = len(tables.read_csv(leaks_csv, tables.LEAKS))
    files.write_json(scores | {"leaks": leaks}, folder / "metrics.json")
    for subset, score in scores.items():
        print(report.sentence(subset, score))
    training = of_clips["actual"][of_clips["subset"] == "train"]
    if len(fitted := baselines.fitted_clips(training)) < len(training):
        print(f"the simpler systems were fitted to {len(fitted)} of the {len(training)} training clips")
    print(*report.against_baselines(of_clips, simpler, content["network_params"]["network"]), sep="\n")
    recorded = [*folder.glob("*.json"), folder / "predictions.csv", folder / "tracks.csv"]
    results.record(model_pt, recorded, register=True, background=tracked)


if __name__ == "__main__":
    stage.run(main)
