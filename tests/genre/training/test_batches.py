import numpy as np
import pytest
import torch

from genre.network.hardware import Hardware
from genre.spectrograms.clips import clips_of
from genre.training.batches import TrainingClips, epoch_seed
from genre.training.tracks import place_tracks
from tests.genre.training.test_augment import OFF


def clips(spectrograms, **changes):
    options = {
        "mixup": 0.0,
        "clips_per_track": 3,
        "clip_frames": 32,
        "clip_spacing": "even",
        "crops": "random",
        "augmentation": {**OFF, "noise_probability": 0.5},
        "seed": 1,
    }
    hardware = Hardware("cpu", "float32", 1)
    options["tracks"] = place_tracks(spectrograms, list(spectrograms.index), [0, 1, 0, 1], hardware)
    return TrainingClips(**{**options, **changes})


@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 4]), (5, [5, 5, 2]), (11, [11]), (12, [12]), (64, [12])])
def test_an_epoch_has_the_steps_that_the_schedule_counts_on(spectrograms, batch_size, sizes):
    made = clips(spectrograms)
    assert [len(labels) for _, labels, *_ in made.batches(1, batch_size)] == sizes
    assert made.steps(batch_size) == len(sizes)


def test_an_epoch_depends_on_its_number_and_seed_alone(spectrograms):
    first = [batch.clips.clone() for batch in clips(spectrograms).batches(2, 4)]
    again = [batch.clips for batch in clips(spectrograms).batches(2, 4)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], next(clips(spectrograms).batches(3, 4)).clips)
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400


def test_fixed_crops_are_the_clips_of_evaluation(spectrograms):
    batches = list(clips(spectrograms, crops="fixed", augmentation=OFF).batches(1, 100))
    wanted = clips_of(spectrograms, list(spectrograms.index), clips_per_track=3, clip_frames=32, clip_spacing="even")
    got = {clip.numpy().astype(np.float16).tobytes() for clip in batches[0][0]}
    assert got == {np.ascontiguousarray(clip).tobytes() for clip in wanted}


def test_labels_stay_with_their_clips(spectrograms):
    for inputs, labels, *_ in clips(spectrograms, augmentation=OFF).batches(1, 5):
        assert torch.equal((inputs[:, :16].mean(dim=(1, 2)) > 0.5).long(), labels)


@pytest.mark.parametrize("crops", ["random", "fixed"])
def test_clips_from_tracks_on_the_device_are_those_from_the_store(spectrograms, crops):
    """As on a GPU with room for the spectrograms: a copy of the training tracks alone, in other places."""
    chosen = list(spectrograms.index)[2:]
    mapped = place_tracks(spectrograms, chosen, [0, 1], Hardware("cpu", "float32", 1))
    copied = place_tracks(spectrograms, chosen, [0, 1], Roomy("cpu", "float32", 1))
    assert isinstance(copied.values, torch.Tensor)
    assert copied.values.shape == (160, 32)
    pairs = [clips(spectrograms, tracks=tracks, crops=crops).batches(2, 4) for tracks in (mapped, copied)]
    for one, other in zip(*pairs, strict=True):
        assert torch.equal(one.clips, other.clips)
        assert torch.equal(one.labels, other.labels)


class Roomy(Hardware):
    """Hardware with room for every spectrogram."""

    def has_room_for(self, size):
        return True


def test_random_crops_begin_anywhere_in_their_track_and_end_in_it(spectrograms):
    made = clips(spectrograms, clips_per_track=2000, augmentation=OFF)
    whole = torch.stack([torch.from_numpy(spectrograms.whole(track).copy()) for track in spectrograms.index]).float()
    windows = whole.unfold(2, 32, 1).permute(0, 2, 1, 3)[:, :, 0, 0]  # the first value of each possible crop
    firsts = torch.cat([batch.clips[:, 0, 0] for batch in made.batches(1, 100)])
    counts = (firsts[:, None] == windows.flatten()).sum(0)
    assert counts.sum() >= 8000
    assert counts.reshape(4, 49).float().mean(0).min() > 20  # of 40.8 expected
    assert counts.reshape(4, 49).float().mean(0).max() < 70


def test_a_last_batch_of_one_is_left_out(spectrograms):
    assert [len(batch.clips) for batch in clips(spectrograms).batches(1, 11)] == [11]
