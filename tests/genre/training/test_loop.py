import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from genre.network.hardware import Hardware
from genre.network.unet import GenreNet, conv_weights
from genre.training import loop
from genre.training.params import Train
from genre.training.steps import DivergedError, StepRecord
from tests.genre.training.test_augment import OFF
from tests.genre.training.test_batches import clips

CPU = Hardware("cpu", "float32", 1)
CHOICES = {
    "epochs": 3, "batch_size": 4, "optimizer": "adamw", "learning_rate": 3e-3, "schedule": "one-cycle",
    "weight_decay": 0.01, "l2_penalty": 0.0, "label_smoothing": 0.1, "mixup": 0.0, "average": 0.0, "devices": 1, "trunk_rate": 0.0, "crops": "random", "crop_frames": None,
    "keep": "best", "seed": 1, "device": "cpu", "precision": "float32",
}  # fmt: skip


def network():
    torch.manual_seed(5)
    return GenreNet(genres=2, n_mels=32, clip_frames=32, base_channels=2)


def without_dropout():
    torch.manual_seed(5)
    return GenreNet(genres=2, n_mels=32, clip_frames=32, base_channels=2, dropout=0.0)


def fit(spectrograms, *, hardware=CPU, checkpoint_path=None, key="", on_epoch=lambda _: None, **changes):
    net = network()
    middles = np.stack([spectrograms.cut(track, 10, 32) for track in spectrograms.index])
    valid = torch.from_numpy(middles), torch.tensor([0, 1, 0, 1])
    params = Train(**CHOICES).model_copy(update=changes)  # not checked again: one learning rate is to diverge
    options = {"hardware": hardware, "checkpoint_path": checkpoint_path, "key": key, "on_epoch": on_epoch}
    state = loop.fit(net, clips(spectrograms), valid, params, **options)
    return net, state


def test_it_overfits_four_clips(spectrograms):
    _, state = fit(spectrograms, epochs=15)
    assert state.history[-1]["valid_accuracy"] == 1.0
    assert state.history[-1]["train_loss"] < state.history[0]["train_loss"]


def test_the_same_seed_gives_the_same_bits(spectrograms):
    first, second = fit(spectrograms)[1], fit(spectrograms)[1]
    assert first.history == second.history
    assert all(torch.equal(first.best[name], second.best[name]) for name in first.best)


@pytest.mark.parametrize(("optimizer", "schedule"), [("adamw", "one-cycle"), ("adam", "constant")])
def test_a_training_killed_after_any_epoch_ends_with_the_same_bits(spectrograms, tmp_path, optimizer, schedule):
    choices = {"schedule": schedule, "optimizer": optimizer, "epochs": 4}
    _, unbroken = fit(spectrograms, **choices)
    for killed_after in (1, 2, 3):
        path = tmp_path / f"{killed_after}.pt"

        def kill(row, killed_after=killed_after):
            if row["epoch"] == killed_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(spectrograms, **choices, checkpoint_path=path, key="x", on_epoch=kill)
        _, resumed = fit(spectrograms, **choices, checkpoint_path=path, key="x")
        assert resumed.history == unbroken.history
        assert resumed.best_epoch == unbroken.best_epoch
        assert all(torch.equal(resumed.best[name], unbroken.best[name]) for name in unbroken.best)


def test_a_loss_that_is_no_number_stops_with_its_place(spectrograms):
    with pytest.raises(
        ValueError, match=r"the loss became nan in epoch \d, batch \d, at learning rate .*; lower train\.learning_rate"
    ):
        fit(spectrograms, learning_rate=1e30, schedule="constant", optimizer="adam")


def test_memory_that_runs_out_names_the_parameter(spectrograms, monkeypatch):
    def exhausted(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(GenreNet, "forward", exhausted)
    with pytest.raises(ValueError, match=r"lower train\.batch_size \(now 4\)"):
        fit(spectrograms)


def test_other_errors_stay_what_they_are(spectrograms, monkeypatch):
    monkeypatch.setattr(GenreNet, "forward", lambda *args: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        fit(spectrograms)


def test_without_validation_the_last_epoch_is_kept(spectrograms):
    state = loop.fit(network(), clips(spectrograms), None, Train(**CHOICES), hardware=CPU)
    assert state.best_epoch == 3
    assert state.history[0].keys() == {"epoch", "train_loss", "train_accuracy", "learning_rate"}


def test_the_last_epoch_is_kept_if_it_shall_be_and_is_bit_for_bit_the_network_itself(spectrograms):
    net, state = fit(spectrograms, keep="last", epochs=5)
    accuracies = [row["valid_accuracy"] for row in state.history]
    best = fit(spectrograms, keep="best", epochs=5)[1]
    assert state.best_epoch == 5
    assert all(torch.equal(value, state.best[name]) for name, value in net.state_dict().items())
    assert state.history == best.history
    assert best.best_epoch == 1 + max(range(5), key=lambda i: (accuracies[i], -state.history[i]["valid_loss"]))


def test_the_loss_of_mixed_clips_is_the_cross_entropy_with_mixed_labels(spectrograms):
    params = Train(**CHOICES).model_copy(update={"mixup": 0.4, "epochs": 1, "batch_size": 64, "learning_rate": 1e-8})
    made = clips(spectrograms, mixup=0.4)
    state = loop.fit(without_dropout(), made, None, params, hardware=CPU)
    batch = next(made.batches(1, 64))
    net = without_dropout().train()
    targets = batch.shares[:, None] * nn.functional.one_hot(batch.labels, 2)
    targets = targets + (1 - batch.shares[:, None]) * nn.functional.one_hot(batch.others, 2)
    wanted = nn.functional.cross_entropy(net(batch.clips), targets, label_smoothing=0.1)
    assert state.history[0]["train_loss"] == pytest.approx(float(wanted.detach()), rel=1e-4)


@pytest.mark.parametrize("choices", [{}, {"mixup": 0.4, "average": 0.9, "l2_penalty": 0.1}])
def test_no_step_reads_anything_back_but_the_optimiser_of_the_cpu_its_own_count(spectrograms, choices):
    params = Train(**CHOICES).model_copy(update=choices)
    noise = {name: 0.5 if name.endswith("_probability") else value for name, value in OFF.items()}
    made = clips(spectrograms, augmentation=noise, mixup=params.mixup)
    trainer = loop.make_trainer(network(), made, params, CPU)
    steps = StepRecord(made.steps(4), "cpu")
    with warnings.catch_warnings(), profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiled:
        warnings.simplefilter("ignore")  # torch's own, of the profiler
        for batch in made.batches(1, 4):
            loss, correct = trainer.step(batch)
            steps.add(loss, correct, batch.size, 0.0)
    reads = {"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero"}
    found = [event for event in profiled.events() if event.name in reads]
    assert all("_fused_adam" in " ".join(ancestors(event)) for event in found)
    assert any(event.name == "aten::convolution_backward" for event in profiled.events())


def ancestors(event):
    while event is not None:
        yield event.name
        event = event.cpu_parent


def test_losses_are_read_about_once_a_second_and_at_the_end(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    record, due = StepRecord(100, "cpu"), 0
    for _ in range(100):
        now[0] += 0.3
        record.add(torch.tensor(4.0), torch.tensor(1), 2, 0.1)
        if record.is_due():
            due += 1
            assert record.read() == (2.0, 0.5)
    assert due == 25
    assert record.read_all() == (2.0, 0.5)


def test_the_first_step_whose_loss_is_no_number_is_told_with_its_rate():
    record = StepRecord(4, "cpu")
    for loss, rate in ((1.0, 0.1), (2.0, 0.2), (float("inf"), 0.3), (float("nan"), 0.4)):
        record.add(torch.tensor(loss), torch.tensor(1), 2, rate)
    with pytest.raises(DivergedError, match="^the loss became inf$") as error:
        record.read_all()
    assert (error.value.batch, error.value.rate) == (3, 0.3)


def test_the_l2_penalty_makes_kernels_smaller_and_is_not_in_the_cross_entropy_of_the_history(spectrograms):
    (plain, before), (heavy, after) = (fit(spectrograms, l2_penalty=penalty, epochs=1) for penalty in (0.0, 1.0))
    sizes = [float(sum(kernel.detach().square().sum() for kernel in conv_weights(net))) for net in (plain, heavy)]
    assert sizes[1] < 0.99 * sizes[0]
    assert after.history[0]["train_loss"] == pytest.approx(before.history[0]["train_loss"], abs=0.3)


def test_one_cycle_rises_to_the_rate_and_falls(spectrograms):
    rates = [row["learning_rate"] for row in fit(spectrograms, epochs=10)[1].history]
    assert max(rates) == pytest.approx(3e-3, rel=0.1)
    assert rates[0] < max(rates) > rates[-1]


def test_bfloat16_trains_too(spectrograms):
    _, state = fit(spectrograms, hardware=Hardware("cpu", "bfloat16", 1), epochs=2)
    assert np.isfinite(state.history[-1]["train_loss"])


def test_a_diverged_training_keeps_the_checkpoint_with_the_best_model(spectrograms, tmp_path, monkeypatch):
    path, choices = tmp_path / "c.pt", {"epochs": 4, "key": "x"}
    _, wanted = fit(spectrograms, **choices, checkpoint_path=tmp_path / "whole.pt")
    step = loop.Trainer.epoch

    def diverge(trainer, epoch, on_steps):
        result = step(trainer, epoch, on_steps)
        if epoch == 3:
            next(trainer.network.parameters()).data.fill_(float("nan"))
        return result

    monkeypatch.setattr(loop.Trainer, "epoch", diverge)
    with pytest.raises(
        ValueError, match=r"a weight is no longer a number in epoch 3, .*; the checkpoint of epoch 2 is kept$"
    ):
        fit(spectrograms, **choices, checkpoint_path=path)
    kept = torch.load(path, weights_only=True)["state"]
    assert kept["history"] == wanted.history[:2]
    assert all(value.isfinite().all() for value in kept["best"].values())


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_killed_with_sigkill_ends_with_the_same_bits(spectrograms, tmp_path, epoch):
    """In a process of its own, killed as soon as the epoch's checkpoint has its name."""
    code = f"""
import os, pathlib, signal, torch
torch.set_num_threads(1)
from genre.spectrograms import store
from tests.genre.training import test_loop as t
place = pathlib.Path({str(tmp_path)!r})
spectrograms = store.read(place / "v.npy", place / "i.csv")
t.fit(spectrograms, checkpoint_path=place / "c.pt", key="x", on_epoch=lambda row: row["epoch"] == {epoch} and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    _, resumed = fit(spectrograms, checkpoint_path=tmp_path / "c.pt", key="x")
    _, unbroken = fit(spectrograms)
    assert resumed.history == unbroken.history
    assert all(torch.equal(resumed.best[name], unbroken.best[name]) for name in unbroken.best)


@pytest.mark.parametrize(("optimizer", "decay"), [("adamw", 0.01), ("adam", 0.0)])
def test_weights_decay_with_adamw_alone_and_biases_and_norms_never(spectrograms, optimizer, decay):
    params = Train(**CHOICES | {"optimizer": optimizer})
    net = network()
    trainer = loop.make_trainer(net, clips(spectrograms), params, CPU)
    decays = {id(one): group["weight_decay"] for group in trainer.optimizer.param_groups for one in group["params"]}
    norms = {id(one) for module in net.modules() if isinstance(module, nn.BatchNorm2d) for one in module.parameters()}
    assert norms
    for name, parameter in net.named_parameters():
        is_weight = name.endswith("weight") and id(parameter) not in norms
        assert decays[id(parameter)] == (decay if is_weight else 0.0), name
    assert len(decays) == len(list(net.parameters()))
