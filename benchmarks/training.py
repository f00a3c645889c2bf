"""How fast the network is trained, and whether a step waits for the host: `python -m benchmarks.training`.

    python -m benchmarks.training                       clips per second of the three loops below, in turn
    python -m benchmarks.training --profile             what an epoch reads back or copies, by torch.profiler
    python -m benchmarks.training --epochs 60 [--batch-size 128]
                                                        all of GTZAN's size: seconds, share of time the GPU is busy

Spectrograms are synthetic: 999 tracks of 646 frames, 128 mel bands, as GTZAN's (256 bands and 1292 frames for the
reference). The loops: `device`, the one of `genre.training.loop`; `host`, the one before it, which cuts and augments
each batch on the CPU and reads the loss back at each step; `reference`, the network and recipe of Pocelli and Sordetti
(2024), in the loop `host`. On a CPU seconds are those of the processor, which other programs disturb less than the
clock's. Needs torch, numpy and pandas, nothing else.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

try:
    import tqdm  # noqa: F401
except ImportError:  # a machine with torch alone
    sys.modules["tqdm"] = ModuleType("tqdm")
    sys.modules["tqdm"].__spec__ = ModuleSpec("tqdm", None)  # torch looks at it

    class Hidden:
        """A progress bar that shows nothing."""

        def __init__(self, **_: Any) -> None:
            self.n = 0

        def __enter__(self) -> "Hidden":
            return self

        def __exit__(self, *_: object) -> None:
            """Ends."""

        def update(self, count: int) -> None:
            """Counts."""
            self.n += count

        def set_postfix(self, **_: Any) -> None:
            """Shows nothing."""

    sys.modules["tqdm"].tqdm = Hidden  # type: ignore[attr-defined]

from genre.network.hardware import Hardware, choose_hardware, seed_everything
from genre.network.unet import GenreNet, conv_weights
from genre.spectrograms.store import SpectrogramStore
from genre.training import loop
from genre.training.augment import augment
from genre.training.batches import TrainingClips, epoch_seed
from genre.training.tracks import place_tracks

GENRES, CLIPS_PER_TRACK = 10, 5
READS_BACK = ("aten::item", "aten::_local_scalar_dense", "aten::nonzero", "cudaStreamSynchronize", "Memcpy DtoH")
UNET = {
    "n_mels": 128, "frames": 646, "clip_frames": 64, "crops": "random",
    "augmentation": {
        "stretch_probability": 0.0, "stretch_tempo": 1.25, "stretch_bands": 4, "style_probability": 0.5,
        "mask_fill": "mean", "noise_probability": 0.35, "noise_level": 0.1,
        "shift_probability": 0.35, "shift_step": 8, "shift_steps": 3,
        "time_mask_probability": 0.35, "time_masks": 3, "time_mask_frames": 6, "mel_mask_probability": 0.35,
        "mel_masks": 2, "mel_mask_bands": 10, "band_limit_probability": 0.0, "band_limit_lowest": 0.625,
        "band_limit_slope": 16, "equaliser_probability": 0.0, "equaliser_level": 0.1, "hole_probability": 0.0,
        "hole_lowest": 0.5, "hole_frames": 3,
    },
    "train": {
        "batch_size": 16, "optimizer": "adamw", "learning_rate": 3e-3, "schedule": "one-cycle", "weight_decay": 0.01,
        "l2_penalty": 0.0, "label_smoothing": 0.1,
    },
}  # fmt: skip
REFERENCE = {
    "n_mels": 256, "frames": 1292, "clip_frames": 256, "crops": "fixed",
    "augmentation": UNET["augmentation"]
    | {"style_probability": 0.0, "mask_fill": "floor", "shift_step": 15, "time_mask_frames": 12, "mel_mask_bands": 20},
    "train": UNET["train"] | {
        "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "l2_penalty": 0.01, "label_smoothing": 0.0,
    },
}  # fmt: skip


def main() -> None:
    """Prints what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--tracks", type=int, default=999, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="of each loop in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--loops", default="device,host,reference", help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=0, help="whole epochs of the loop `device` instead of rounds")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    seed_everything(1)
    hardware = choose_hardware(arguments.device, arguments.precision)
    print(f"{machine(hardware)}, {hardware.precision}, {arguments.tracks} tracks, batches of {arguments.batch_size}")
    if arguments.profile:
        print_profile(hardware, arguments)
    elif arguments.epochs:
        print_training(hardware, arguments)
    else:
        print_speeds(hardware, arguments)


def machine(hardware: Hardware) -> str:
    """Names what the network computes on."""
    return (
        torch.cuda.get_device_name() if hardware.device == "cuda" else f"{hardware.device}, {hardware.threads} threads"
    )


def spectrograms(recipe: dict[str, Any], tracks: int) -> SpectrogramStore:
    """Makes a store of random tracks, each with a band of its genre, in memory."""
    frames = recipe["frames"]
    values = np.random.default_rng(0).random((tracks * frames, recipe["n_mels"]), dtype=np.float32).astype(np.float16)
    values *= np.float16(0.5)
    band = recipe["n_mels"] // GENRES
    for number in range(tracks):
        genre = number % GENRES
        values[number * frames : (number + 1) * frames, genre * band : (genre + 1) * band] += np.float16(0.3)
    return SpectrogramStore(values, {f"{number}": (number * frames, frames) for number in range(tracks)})


def trainer(recipe: dict[str, Any], network: str, hardware: Hardware, arguments: Any) -> loop.Trainer:
    """Makes the network, its training clips and all that takes part in a step."""
    store = spectrograms(recipe, arguments.tracks)
    labels = [int(track) % GENRES for track in store.index]
    clips = TrainingClips(
        place_tracks(store, list(store.index), labels, hardware), CLIPS_PER_TRACK, recipe["clip_frames"],
        "contiguous", recipe["crops"], recipe["augmentation"], 0.0, 1,
    )  # fmt: skip
    steps = (arguments.rounds + 1) * arguments.steps  # of `print_speeds`, for which the schedule must be long enough
    epochs = max(1, arguments.epochs, -(-steps // clips.steps(arguments.batch_size)))
    params = SimpleNamespace(
        **recipe["train"] | {"batch_size": arguments.batch_size}, average=0.0, epochs=epochs, seed=1
    )
    torch.manual_seed(1)
    net = GenreNet(genres=GENRES, n_mels=recipe["n_mels"], clip_frames=recipe["clip_frames"], network=network)
    return loop.make_trainer(net, clips, params, hardware)  # type: ignore[arg-type]


def device_steps(made: loop.Trainer) -> Iterator[None]:
    """Takes steps as `genre.training.loop` does, without end."""
    epoch = 0
    made.parallel.train()
    while True:
        epoch += 1
        for batch in made.clips.batches(epoch, made.params.batch_size):
            made.step(batch)
            yield


def host_steps(made: loop.Trainer) -> Iterator[None]:
    """Takes steps with clips that are cut and augmented on the CPU, and reads loss and correct clips back each time."""
    epoch, params, device = 0, made.params, made.hardware.device
    criterion = nn.CrossEntropyLoss(label_smoothing=params.label_smoothing)
    made.network.train()
    while True:
        epoch += 1
        for inputs, labels in host_batches(made.clips, epoch, params.batch_size):
            inputs, labels = inputs.to(device), labels.to(device)
            with made.hardware.autocast():
                logits = made.network(inputs)
            loss = criterion(logits.float(), labels)
            if params.l2_penalty:
                loss = loss + params.l2_penalty * sum(w.square().sum() for w in conv_weights(made.network))
            if not float(loss.detach()) < float("inf"):
                raise SystemExit("the loss became infinite")
            made.optimizer.zero_grad()
            loss.backward()
            made.optimizer.step()
            int((logits.argmax(1) == labels).sum())
            yield


def host_batches(clips: TrainingClips, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cuts and augments batches on the CPU, a clip at a time."""
    generator = torch.Generator().manual_seed(epoch_seed(1, epoch))
    tracks, frames = clips.tracks, clips.clip_frames
    values = tracks.values.cpu().numpy() if isinstance(tracks.values, Tensor) else tracks.values
    starts, lengths, labels = tracks.starts.tolist(), tracks.frames.tolist(), tracks.labels.tolist()
    cuts = [
        (track, starts[track] + int(torch.randint(0, lengths[track] - frames + 1, (1,), generator=generator)))
        for track in range(len(labels))
        for _ in range(CLIPS_PER_TRACK)
    ]
    order = torch.randperm(len(cuts), generator=generator).tolist()
    for start in range(0, len(order) - batch_size + 1, batch_size):
        chosen = [cuts[place] for place in order[start : start + batch_size]]
        arrays = [values[first : first + frames].T for _, first in chosen]
        batch = torch.from_numpy(np.stack(arrays).astype(np.float32))
        of_clips = torch.tensor([labels[track] for track, _ in chosen])
        yield augment(batch, generator=generator, **clips.augmentation), of_clips


def print_speeds(hardware: Hardware, arguments: Any) -> None:
    """Prints the clips per second of each loop: the loops take turns, and the median of the rounds counts."""
    makers: dict[str, Callable[[], Iterator[None]]] = {
        "device": lambda: device_steps(trainer(UNET, "unet", hardware, arguments)),
        "host": lambda: host_steps(trainer(UNET, "unet", hardware, arguments)),
        "reference": lambda: host_steps(trainer(REFERENCE, "reference", hardware, arguments)),
    }
    steps = {name: makers[name]() for name in arguments.loops.split(",")}
    speeds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-1, arguments.rounds):  # the first round warms up, and does not count
        for name, run in steps.items():
            seconds = timed(run, arguments.steps, hardware)
            if number >= 0:
                speeds[name].append(arguments.steps * arguments.batch_size / seconds)
    for name, found in speeds.items():
        print(f"  {name:10s} {statistics.median(found):8.1f} clips/s (of {min(found):.1f} to {max(found):.1f})")
    if {"device", "host"} <= speeds.keys():
        ratios = [ours / before for ours, before in zip(speeds["device"], speeds["host"], strict=True)]
        print(f"  device / host, round by round: {statistics.median(ratios):.3f}")


def timed(run: Iterator[None], steps: int, hardware: Hardware) -> float:
    """Returns the seconds of some steps: of the clock on a GPU, of the processor's threads together on a CPU."""
    clock = time.process_time if hardware.device == "cpu" else time.perf_counter
    synchronise(hardware)
    start = clock()
    for _ in range(steps):
        next(run)
    synchronise(hardware)
    return clock() - start


def synchronise(hardware: Hardware) -> None:
    """Waits for the GPU."""
    if hardware.device == "cuda":
        torch.cuda.synchronize()
    elif hardware.device == "mps":
        torch.mps.synchronize()


def print_training(hardware: Hardware, arguments: Any) -> None:
    """Trains whole epochs, profiles one of them, and prints seconds and the share of time the GPU is busy."""
    made = trainer(UNET, "unet", hardware, arguments)
    where = "on the device" if isinstance(made.clips.tracks.values, Tensor) else "in the store, on the host"
    print(f"  spectrograms: {where}")
    seconds = []
    for epoch in range(1, arguments.epochs + 1):
        start = time.perf_counter()
        loss, accuracy = made.epoch(epoch)
        seconds.append(time.perf_counter() - start)
    total, median = sum(seconds), statistics.median(seconds)
    print(f"  {arguments.epochs} epochs of {len(made.clips)} clips: {total:.1f} s, the first {seconds[0]:.2f} s")
    print(
        f"  an epoch, median: {median:.3f} s, {len(made.clips) / median:.0f} clips/s; "
        f"loss {loss:.3f}, accuracy {accuracy:.3f}"
    )
    if hardware.device == "cuda":
        print(f"  GPU busy: {100 * busy_share(made, arguments.epochs):.0f} % of an epoch's time, by torch.profiler")


def busy_share(made: loop.Trainer, epoch: int) -> float:
    """Trains one more epoch's steps; returns the kernels' time as a share of the clock's, with the profiler's cost."""
    made = loop.make_trainer(made.network, made.clips, made.params, made.hardware)  # its schedule has ended
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiled:
        start = time.perf_counter()
        made.epoch(epoch)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6 / seconds


def print_profile(hardware: Hardware, arguments: Any) -> None:
    """Profiles steps of the loop `device`, and prints how often each operation that reads back was called."""
    run = device_steps(trainer(UNET, "unet", hardware, arguments))
    timed(run, 2, hardware)  # an epoch's beginning, where the order is drawn
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (hardware.device == "cuda")
    with profile(activities=activities, acc_events=True) as profiled:
        timed(run, arguments.steps, hardware)
    print(
        f"  calls in {arguments.steps} steps; torch's optimiser on a CPU reads the number of its step, a GPU's does not"
    )
    for name in READS_BACK:
        events = [event for event in profiled.events() if name in event.name]
        of_optimizer = sum(map(in_optimizer, events))
        print(f"  {name:28s} {len(events) - of_optimizer:4d}, in the optimiser {of_optimizer:4d}")
    print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=12))


def in_optimizer(event: Any) -> bool:
    """Tells whether an operation was called by the optimiser's own one."""
    while event is not None and not event.name.startswith("aten::_fused_adam"):
        event = event.cpu_parent
    return event is not None


if __name__ == "__main__":
    main()
