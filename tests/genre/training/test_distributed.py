"""Several processes of one training. Those that start processes take some ten seconds each, and are slow."""

import atexit
import contextlib
import os
import re
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from genre.network.hardware import Hardware
from genre.network.unet import GenreNet
from genre.spectrograms import store
from genre.training import distributed, loop
from genre.training.distributed import Group
from genre.training.params import Train
from tests.genre.training.test_augment import OFF
from tests.genre.training.test_batches import clips
from tests.genre.training.test_loop import CHOICES

CPU = Hardware("cpu", "float32", 1)
CHOICES_OF_ALL = CHOICES | {"batch_size": 5, "keep": "last", "average": 0.9}


class WithoutNorm(nn.Module):
    """Of which two processes compute the same as one: nothing in it depends on the other clips of a batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))

    def forward(self, mel_specgram):
        return self.layers(mel_specgram[:, None])


def train(place: Path, group: Group, checkpoint: bool = False, **changes) -> None:
    """Trains in one process of a group; the first writes history and weights, and each its own weights."""
    spectrograms = store.read(place / "v.npy", place / "i.csv")
    made = clips(spectrograms, augmentation=OFF, group=group, mixup=0.0)
    middles = torch.stack([torch.from_numpy(spectrograms.cut(track, 10, 32).copy()) for track in spectrograms.index])
    params = Train(**CHOICES_OF_ALL).model_copy(update=changes)
    path = place / "c.pt" if checkpoint else None
    valid = middles, torch.tensor([0, 1, 0, 1])
    state = loop.fit(WithoutNorm(), made, valid, params, hardware=CPU, checkpoint_path=path, key="x")
    torch.save({"history": state.history, "best": state.best}, place / f"{group.size}.{group.rank}.pt")


def train_with_norm(place: Path, group: Group) -> None:
    """Trains a network with batch norms in one process of a group; each writes its own weights and statistics."""
    torch.manual_seed(5)
    net = GenreNet(genres=2, n_mels=32, clip_frames=32, base_channels=2)
    made = clips(store.read(place / "v.npy", place / "i.csv"), group=group)
    state = loop.fit(net, made, None, Train(**CHOICES | {"batch_size": 5, "epochs": 1}), hardware=CPU)
    torch.save(state.best, place / f"norm.{group.rank}.pt")


def fail(group: Group) -> None:
    if group.rank == 1:
        raise ValueError("train: the loss became nan in epoch 1")
    wait_for_others()


def die(group: Group) -> None:
    if group.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for_others()


def lose(group: Group) -> None:
    raise RuntimeError("NCCL error: unhandled system error, network is unreachable")


def wait_for_others() -> None:
    torch.distributed.barrier()


def results(place: Path, name: str) -> dict:
    return torch.load(place / f"{name}.pt", weights_only=True)


@pytest.mark.slow
def test_two_processes_take_the_same_steps_as_one_and_end_with_the_same_weights(spectrograms, tmp_path):
    for _ in range(2):
        distributed.run(partial(train, tmp_path), CPU, 2, 5)
        first, second = results(tmp_path, "2.0"), results(tmp_path, "2.1")
        assert first["history"] == second["history"]
        assert all(torch.equal(value, second["best"][name]) for name, value in first["best"].items())
        (tmp_path / "2.0.pt").rename(tmp_path / f"run{_}.pt")
    one, again = results(tmp_path, "run0"), results(tmp_path, "run1")
    assert one["history"] == again["history"]
    assert all(torch.equal(value, again["best"][name]) for name, value in one["best"].items())
    train(tmp_path, distributed.ALONE)
    alone = results(tmp_path, "1.0")
    for ours, wanted in zip(one["history"], alone["history"], strict=True):
        assert ours == pytest.approx(wanted, rel=1e-4)
    for name, value in alone["best"].items():
        torch.testing.assert_close(one["best"][name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_end_with_the_same_statistics_of_their_batch_norms(spectrograms, tmp_path):
    """Each has seen other clips; what evaluation uses is the mean of both."""
    distributed.run(partial(train_with_norm, tmp_path), CPU, 2, 5)
    first, second = results(tmp_path, "norm.0"), results(tmp_path, "norm.1")
    assert any("running_var" in name for name in first)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    train_with_norm(tmp_path, distributed.ALONE)
    alone = results(tmp_path, "norm.0")
    for name in (name for name in first if "running_var" in name):
        assert 0.5 < first[name].mean() / alone[name].mean() < 1.5, name


def test_the_first_process_alone_says_that_a_training_goes_on(spectrograms, tmp_path, monkeypatch, capsys):
    train(tmp_path, distributed.ALONE, checkpoint=True, epochs=1)
    capsys.readouterr()
    for rank, said in ((0, "going on after epoch 1, from checkpoint c.pt"), (1, "")):
        group = Group(rank, 2)
        monkeypatch.setattr(Group, "check_same", lambda *_: None)
        monkeypatch.setattr(Group, "parallel", lambda _, network, __: network)
        with contextlib.suppress(RuntimeError, ValueError):  # there is no second process to train with
            train(tmp_path, group, checkpoint=True, epochs=2)
        assert capsys.readouterr().out.strip() == said


@pytest.mark.slow
def test_a_training_of_two_processes_goes_on_in_one_and_the_other_way_round(spectrograms, tmp_path):
    train(tmp_path, distributed.ALONE, epochs=4, schedule="constant")
    wanted = results(tmp_path, "1.0")["history"]
    for devices in (1, 2):
        (tmp_path / "c.pt").unlink(missing_ok=True)
        for epochs, count in ((2, devices), (4, 3 - devices)):
            work = partial(train, tmp_path, checkpoint=True, epochs=epochs, schedule="constant")
            distributed.run(work, CPU, count, 5)
        history = results(tmp_path, f"{3 - devices}.0")["history"]
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]
        for ours, theirs in zip(history, wanted, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "message"),
    [
        (fail, "^train: the loss became nan in epoch 1$"),
        (
            lose,
            "^train: another process has ended, whose own message says why, or the processes cannot reach each other: "
            "NCCL error: unhandled system error, network is unreachable$",
        ),
        (die, r"^train: process 2 of 2 was killed by SIGKILL; run again to go on from the last epoch, also with "),
    ],
)
def test_a_process_that_fails_or_is_killed_ends_all_with_one_line(work, message):
    with pytest.raises(ValueError, match=message):
        distributed.run(work, CPU, 2, 4)


def test_one_device_is_this_process(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    called = []
    distributed.run(called.append, CPU, 1, 16)
    assert called == [Group(0, 1, 0)]


def test_the_parts_of_the_processes_are_together_the_batch_of_one(spectrograms):
    whole = list(clips(spectrograms, augmentation=OFF).batches(1, 5))
    parts = [list(clips(spectrograms, augmentation=OFF, group=Group(rank, 3)).batches(1, 5)) for rank in range(3)]
    assert len(whole) == 3
    for number, batch in enumerate(whole):
        for rank in range(3):
            part = parts[rank][number]
            assert part.size == batch.size
            assert torch.equal(part.labels, batch.labels[rank::3])
            if len(part.labels):
                assert torch.equal(part.clips, batch.clips[rank::3])


def test_a_process_without_a_clip_in_the_last_batch_takes_part_with_one_that_does_not_count(spectrograms):
    last = list(clips(spectrograms, group=Group(2, 3)).batches(1, 5))[-1]
    assert last.size == 2
    assert last.labels.shape == (0,)
    assert last.clips.shape == (1, 32, 32)


def test_each_process_draws_augmentation_of_its_own(spectrograms):
    noise = OFF | {"noise_probability": 1.0}
    added = []
    for rank in range(2):
        pair = [
            next(clips(spectrograms, augmentation=choice, group=Group(rank, 2)).batches(1, 4)).clips
            for choice in (noise, OFF)
        ]
        added.append(pair[0] - pair[1])
    assert (added[0] - added[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("wanted", "device", "gpus", "count"),
    [("auto", "cpu", 0, 1), ("auto", "cuda", 4, 4), (2, "cpu", 0, 2), (3, "cuda", 4, 3), ("auto", "mps", 0, 1),
     ("auto", "cuda", 16, 8)],
)  # fmt: skip
def test_auto_is_every_gpu_that_gets_two_clips_of_a_batch_or_one_process_on_a_cpu(
    monkeypatch, wanted, device, gpus, count
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert distributed.count_devices(wanted, device, 16) == count


def test_more_devices_than_there_are_or_too_few_clips_for_them_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"^train\.devices must be at most 2, the GPUs of this machine, got 3$"):
        distributed.count_devices(3, "cuda", 16)
    with pytest.raises(
        ValueError, match=r"^train\.batch_size must be at least 2 for each of the 9 devices, got 16; raise it, or"
    ):
        distributed.count_devices(9, "cpu", 16)


def test_the_processes_of_torchrun_and_of_srun_are_recognised_and_a_batch_script_is_one_process():
    assert distributed.launched({}) is None
    assert distributed.launched({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}) is None
    torchrun = {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}
    assert distributed.launched(torchrun) == Group(rank=5, size=8, local_rank=1)
    batch = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "7"}
    assert distributed.launched(batch) is None
    srun = batch | {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "6", "SLURM_LOCALID": "2"}
    assert distributed.launched(srun) == Group(rank=6, size=8, local_rank=2)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu1", "gpu1"), ("gpu[03-05,07]", "gpu03"), ("a,b", "a"), ("rack1-n[1,3],x", "rack1-n1"), ("n[9-10]", "n9")],
)
def test_the_processes_of_a_step_of_srun_meet_on_its_first_node(nodes, first):
    address = distributed.slurm_address({"SLURM_STEP_NODELIST": nodes, "SLURM_JOB_ID": "123456"})
    assert re.fullmatch(rf"tcp://{first}:23456", address)


@pytest.fixture
def nccl(monkeypatch):
    """What happens to a group of processes on GPUs, without any: a list of the calls."""
    calls = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: calls.append(f"gpu {number}"))
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(torch.distributed, name, lambda *_, name=name, **__: calls.append(name))
    monkeypatch.setattr(atexit, "register", lambda call: calls.append(call.__name__))
    monkeypatch.setattr(os, "environ", {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})
    return calls


GPU = Hardware("cuda", "float32", 1)


def test_a_process_on_a_gpu_that_fails_does_not_wait_for_those_that_wait_for_it(nccl):
    def diverge(_):
        raise ValueError("train: the loss became nan")

    with pytest.raises(ValueError, match="^train: the loss became nan$"):
        distributed.run(diverge, GPU, "auto", 16)
    assert nccl == ["gpu 1", "init_process_group", "_leave"]


def test_a_process_on_a_gpu_that_ends_well_leaves_its_group(nccl):
    distributed.run(lambda _: None, GPU, "auto", 16)
    assert nccl == ["gpu 1", "init_process_group", "destroy_process_group"]


def test_more_processes_on_a_machine_than_gpus_are_refused(nccl, monkeypatch):
    monkeypatch.setitem(os.environ, "LOCAL_RANK", "2")
    with pytest.raises(
        ValueError, match=r"^train: at most 2 processes may run on this machine, one for each GPU, got 3"
    ):
        distributed.run(lambda _: None, GPU, "auto", 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # as srun shows each process its own alone
    distributed.run(lambda _: None, GPU, "auto", 16)
    assert nccl[0] == "gpu 0"


def test_only_the_first_of_several_processes_fits_a_head(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    assert distributed.is_first_process()
    monkeypatch.setattr(os, "environ", {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})
    assert not distributed.is_first_process()
