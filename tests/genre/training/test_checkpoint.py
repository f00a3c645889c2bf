import os

import pytest
import torch

from genre.training import checkpoint
from tests.genre.training.test_loop import fit


def row(epoch, accuracy, loss):
    return {"epoch": epoch, "valid_accuracy": accuracy, "valid_loss": loss}


@pytest.mark.parametrize("damage", ["truncated", "other", "noise"])
def test_a_checkpoint_that_does_not_fit_is_ignored_with_a_line(spectrograms, tmp_path, capsys, damage):
    path = tmp_path / "c.pt"
    _, wanted = fit(spectrograms, checkpoint_path=path, key="theirs" if damage == "other" else "ours")
    if damage != "other":
        path.write_bytes(path.read_bytes()[:1000] if damage == "truncated" else b"noise")
    _, state = fit(spectrograms, checkpoint_path=path, key="ours")
    assert "checkpoint c.pt is not used: " in capsys.readouterr().out
    assert state.history == wanted.history


@pytest.mark.parametrize(("keep", "best"), [("best", 3), ("last", 4)])
def test_the_best_epoch_is_the_most_accurate_then_the_one_of_lowest_loss(keep, best):
    state = checkpoint.TrainingState()
    for values in ((1, 0.5, 1.0), (2, 0.7, 1.0), (3, 0.7, 0.9), (4, 0.6, 0.1)):
        state.add_epoch(row(*values), {}, keep)
    assert state.best_epoch == best


def test_checkpoints_that_nobody_goes_on_with_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "KEPT_CHECKPOINTS", 2)
    for age, name in enumerate(("new.pt", "old.pt", "older.pt", ".killed.1.unfinished.pt")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (10**9 - age, 10**9 - age))
    checkpoint.prune(tmp_path / "done.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.pt", "old.pt"]


def test_a_checkpoint_that_half_fits_leaves_the_network_as_it_was(spectrograms, tmp_path, capsys):
    path = tmp_path / "c.pt"
    _, wanted = fit(spectrograms, checkpoint_path=path, key="x")
    content = torch.load(path, weights_only=True)
    content["optimizer"] = {"state": {}, "param_groups": []}
    torch.save(content, path)
    _, state = fit(spectrograms, checkpoint_path=path, key="x")
    assert "checkpoint c.pt is not used: " in capsys.readouterr().out
    assert state.history == wanted.history
