import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genre.network import hardware, inference
from genre.network.unet import GenreNet
from genre.spectrograms import store as stores
from genre.training import checkpoint, loop
from genre.training.batches import TrainingClips, epoch_seed
from genre.training.params import Train
from tests.genre.training.test_augment import OFF

CPU = hardware.Hardware("cpu", "float32", 1)
CHOICES = {
    "crops": "random", "crop_frames": None, "device": "cpu", "precision": "float32", "epochs": 3, "batch_size": 4, "optimizer": "adamw", "learning_rate": 3e-3, "schedule": "one-cycle",
    "weight_decay": 0.01, "l2_penalty": 0.0, "label_smoothing": 0.1, "keep": "best", "seed": 1,
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """Four tracks of 80 frames, two genres that differ in which half of the bands is loud."""
    random = np.random.default_rng(0)
    items = []
    for number in range(4):
        mel = random.uniform(0, 0.3, (80, 32)).astype(np.float16)
        mel[:, :16] += np.float16(0.6 * (number % 2))
        items.append((f"g{number % 2}/{number}", mel))
    paths = tmp_path / "v.npy", tmp_path / "i.csv"
    stores.write(items, 32, *paths)
    return stores.read(*paths)


def clips(store, **changes):
    options = {
        "clips_per_track": 3,
        "clip_frames": 32,
        "clip_spacing": "even",
        "crops": "random",
        "augmentation": {**OFF, "noise_probability": 0.5},
        "seed": 1,
    }
    return TrainingClips(store, list(store.index), [0, 1, 0, 1], **{**options, **changes})


@pytest.mark.parametrize(
    ("batch_size", "network_params"), [(4, [4, 4, 4]), (5, [5, 5, 2]), (11, [11]), (12, [12]), (64, [12])]
)
def test_an_epoch_has_the_steps_that_the_schedule_counts_on(store, batch_size, sizes):
    made = clips(store)
    assert [len(labels) for _, labels in made.batches(1, batch_size)] == sizes
    assert made.steps(batch_size) == len(sizes)


def network():
    torch.manual_seed(5)
    return GenreNet(genres=2, n_mels=32, clip_frames=32, base_channels=2)


def fit(store, *, hardware=CPU, checkpoint_path=None, key="", on_epoch=lambda _: None, **changes):
    net = network()
    valid = torch.from_numpy(np.stack([store.cut(t, 10, 32) for t in store.index])), torch.tensor([0, 1, 0, 1])
    params = Train(**{**CHOICES, **changes})
    options = {"hardware": hardware, "checkpoint_path": checkpoint_path, "key": key, "on_epoch": on_epoch}
    progress = loop.fit(net, clips(store), valid, params, **options)
    return net, progress


def test_an_epoch_depends_on_its_number_and_seed_alone(store):
    first = [batch.clone() for batch, _ in clips(store).batches(2, 4)]
    again = [batch for batch, _ in clips(store).batches(2, 4)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], next(clips(store).batches(3, 4))[0])
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400


def test_fixed_crops_are_the_clips_of_evaluation(store):
    batches = list(clips(store, crops="fixed", augmentation=OFF).batches(1, 100))
    wanted = np.concatenate(
        [store.clips(t, clips_per_track=3, clip_frames=32, clip_spacing="even") for t in store.index]
    )
    got = {clip.numpy().astype(np.float16).tobytes() for clip in batches[0][0]}
    assert got == {np.ascontiguousarray(clip).tobytes() for clip in wanted}


def test_labels_stay_with_their_clips(store):
    for inputs, labels in clips(store, augmentation=OFF).batches(1, 5):
        assert torch.equal((inputs[:, :16].mean(dim=(1, 2)) > 0.5).long(), labels)


def test_a_last_batch_of_one_is_left_out(store):
    assert [len(batch) for batch, _ in clips(store).batches(1, 11)] == [11]


def test_it_overfits_four_clips(store):
    _, progress = fit(store, epochs=25)
    assert progress.history[-1]["valid_accuracy"] == 1.0
    assert progress.history[-1]["train_loss"] < progress.history[0]["train_loss"]


def test_the_same_seed_gives_the_same_bits(store):
    first, second = fit(store)[1], fit(store)[1]
    assert first.history == second.history
    assert all(torch.equal(first.best[name], second.best[name]) for name in first.best)


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_a_training_killed_after_any_epoch_ends_with_the_same_bits(store, tmp_path, schedule, optimizer):
    choices = {"schedule": schedule, "optimizer": optimizer, "epochs": 4}
    _, unbroken = fit(store, **choices)
    for killed_after in (1, 2, 3):
        path = tmp_path / f"{killed_after}.pt"

        def kill(row, killed_after=killed_after):
            if row["epoch"] == killed_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(store, **choices, checkpoint_path=path, key="x", on_epoch=kill)
        _, resumed = fit(store, **choices, checkpoint_path=path, key="x")
        assert resumed.history == unbroken.history
        assert resumed.best_epoch == unbroken.best_epoch
        assert all(torch.equal(resumed.best[name], unbroken.best[name]) for name in unbroken.best)


@pytest.mark.parametrize("damage", ["truncated", "other", "noise"])
def test_a_checkpoint_that_does_not_fit_is_ignored_with_a_line(store, tmp_path, capsys, damage):
    path = tmp_path / "c.pt"
    _, wanted = fit(store, checkpoint_path=path, key="theirs" if damage == "other" else "ours")
    if damage != "other":
        path.write_bytes(path.read_bytes()[:1000] if damage == "truncated" else b"noise")
    _, progress = fit(store, checkpoint_path=path, key="ours")
    assert "checkpoint c.pt is not used: " in capsys.readouterr().out
    assert progress.history == wanted.history


def test_a_loss_that_is_no_number_stops_with_its_place(store):
    with pytest.raises(
        ValueError, match=r"the loss became nan in epoch \d, batch \d, at learning rate .*; lower train\.learning_rate"
    ):
        fit(store, learning_rate=1e30, schedule="constant", optimizer="adam")


def test_memory_that_runs_out_names_the_parameter(store, monkeypatch):
    def exhausted(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(GenreNet, "forward", exhausted)
    with pytest.raises(ValueError, match=r"lower train\.batch_size \(now 4\)"):
        fit(store)


def test_other_errors_stay_what_they_are(store, monkeypatch):
    monkeypatch.setattr(GenreNet, "forward", lambda *args: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        fit(store)


def row(epoch, accuracy, loss):
    return {"epoch": epoch, "valid_accuracy": accuracy, "valid_loss": loss}


@pytest.mark.parametrize(("keep", "best"), [("best", 3), ("last", 4)])
def test_the_best_epoch_is_the_most_accurate_then_the_one_of_lowest_loss(keep, best):
    progress = checkpoint.TrainingState()
    for values in ((1, 0.5, 1.0), (2, 0.7, 1.0), (3, 0.7, 0.9), (4, 0.6, 0.1)):
        progress.add_epoch(row(*values), {}, keep)
    assert progress.best_epoch == best


def test_without_validation_the_last_epoch_is_kept(store):
    progress = loop.fit(network(), clips(store), None, Train(**CHOICES), hardware=CPU)
    assert progress.best_epoch == 3
    assert progress.history[0].keys() == {"epoch", "train_loss", "train_accuracy", "learning_rate"}


def test_the_l2_penalty_is_part_of_the_loss(store):
    plain, heavy = (fit(store, l2_penalty=penalty, epochs=1)[1].history[0]["train_loss"] for penalty in (0.0, 1.0))
    assert heavy > plain + 1


def test_one_cycle_rises_to_the_rate_and_falls(store):
    rates = [row["learning_rate"] for row in fit(store, epochs=10)[1].history]
    assert max(rates) == pytest.approx(3e-3, rel=0.1)
    assert rates[0] < max(rates) > rates[-1]


def test_bfloat16_trains_too(store):
    _, progress = fit(store, hardware=hardware.Hardware("cpu", "bfloat16", 1), epochs=2)
    assert np.isfinite(progress.history[-1]["train_loss"])


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"train\.device cuda is not on this machine"):
        hardware.choose_hardware("cuda", "auto")
    assert hardware.choose_hardware("cpu", "float32").precision == "float32"


def test_a_diverged_training_keeps_the_checkpoint_with_the_best_model(store, tmp_path, monkeypatch):
    path, choices = tmp_path / "c.pt", {"epochs": 4, "key": "x"}
    _, wanted = fit(store, **choices, checkpoint_path=tmp_path / "whole.pt")
    step = loop.Trainer.epoch

    def diverge(trainer, epoch):
        result = step(trainer, epoch)
        if epoch == 3:
            next(trainer.network.parameters()).data.fill_(float("nan"))
        return result

    monkeypatch.setattr(loop.Trainer, "epoch", diverge)
    with pytest.raises(
        ValueError, match=r"a weight is no longer a number in epoch 3, .*; the checkpoint of epoch 2 is kept$"
    ):
        fit(store, **choices, checkpoint_path=path)
    kept = torch.load(path, weights_only=True)["state"]
    assert kept["history"] == wanted.history[:2]
    assert all(value.isfinite().all() for value in kept["best"].values())


def test_memory_that_runs_out_in_validation_names_the_parameter(store, monkeypatch):
    def exhausted(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(GenreNet, "forward", exhausted)
    with pytest.raises(ValueError, match=r"out of memory; lower split\.clip_frames or model\.base_channels"):
        inference.predict(network(), torch.zeros(1, 32, 32), hardware=CPU)


def test_checkpoints_that_nobody_goes_on_with_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "KEPT_CHECKPOINTS", 2)
    for age, name in enumerate(("new.pt", "old.pt", "older.pt", ".killed.1.unfinished.pt")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (10**9 - age, 10**9 - age))
    checkpoint.prune(tmp_path / "done.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.pt", "old.pt"]


def test_a_checkpoint_that_half_fits_leaves_the_network_as_it_was(store, tmp_path, capsys):
    path = tmp_path / "c.pt"
    _, wanted = fit(store, checkpoint_path=path, key="x")
    state = torch.load(path, weights_only=True)
    state["optimizer"] = {"state": {}, "param_groups": []}
    torch.save(state, path)
    _, progress = fit(store, checkpoint_path=path, key="x")
    assert "checkpoint c.pt is not used: " in capsys.readouterr().out
    assert progress.history == wanted.history


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_killed_with_sigkill_ends_with_the_same_bits(store, tmp_path, epoch):
    """In a process of its own, killed as soon as the epoch's checkpoint has its name."""
    code = f"""
import os, pathlib, signal, torch
torch.set_num_threads(1)
from genre.spectrograms import store as stores
from tests.genre.training import test_loop as t
place = pathlib.Path({str(tmp_path)!r})
store = store.read(place / "v.npy", place / "i.csv")
t.fit(store, checkpoint_path=place / "c.pt", key="x", on_epoch=lambda row: row["epoch"] == {epoch} and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    _, resumed = fit(store, checkpoint_path=tmp_path / "c.pt", key="x")
    _, unbroken = fit(store)
    assert resumed.history == unbroken.history
    assert all(torch.equal(resumed.best[name], unbroken.best[name]) for name in unbroken.best)
