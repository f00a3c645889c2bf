import pytest
import torch

from genre.training import augment

OFF = {
    "noise_probability": 0.0, "noise_level": 0.1, "shift_probability": 0.0, "shift_step": 4, "shift_steps": 3,
    "time_mask_probability": 0.0, "time_masks": 3, "time_mask_frames": 5, "mel_mask_probability": 0.0,
    "mel_masks": 2, "mel_mask_bands": 6,
}  # fmt: skip
CLIPS = torch.rand(16, 32, 64, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def changed(seed=0, **sizes):
    return augment.augment(CLIPS, generator=torch.Generator().manual_seed(seed), **{**OFF, **sizes})


def test_all_off_changes_nothing():
    assert torch.equal(changed(), CLIPS)


def test_the_seed_decides():
    options = {"noise_probability": 0.5, "shift_probability": 0.5, "time_mask_probability": 0.5}
    assert torch.equal(changed(3, **options), changed(3, **options))
    assert not torch.equal(changed(3, **options), changed(4, **options))


def test_the_input_is_left_as_it_is():
    before = CLIPS.clone()
    changed(noise_probability=1.0, time_mask_probability=1.0, mel_mask_probability=1.0)
    assert torch.equal(CLIPS, before)


def test_noise_only_adds_and_stays_in_its_level():
    added = changed(noise_probability=1.0) - CLIPS
    assert added.min() >= 0
    assert 0.09 < added.max() <= 0.1


def test_a_shift_moves_along_time_and_rows_do_not_mix():
    moved = changed(shift_probability=1.0)
    for before, after in zip(CLIPS, moved, strict=True):
        shifts = [shift for shift in (4, 8, 12) if torch.equal(before.roll(shift, dims=1), after)]
        assert len(shifts) == 1


def test_time_masks_hide_whole_frames_and_mel_masks_whole_bands():
    for dim, options, width, most in (
        (2, {"time_mask_probability": 1.0}, 5, 15),
        (1, {"mel_mask_probability": 1.0}, 6, 12),
    ):
        hidden = changed(**options) == 0
        stripes = hidden.all(dim=3 - dim)
        assert torch.equal(hidden.any(dim=3 - dim), stripes)
        assert width <= stripes.sum(dim=1).min()
        assert stripes.sum(dim=1).max() <= most


@pytest.mark.parametrize("kind", ["noise", "shift", "time_mask", "mel_mask"])
def test_a_probability_is_the_share_of_clips_that_change(kind):
    clips = torch.rand(2000, 32, 64) * 0.8 + 0.1
    sizes = {**OFF, f"{kind}_probability": 0.35}
    after = augment.augment(clips, generator=torch.Generator().manual_seed(0), **sizes)
    share = (after != clips).any(dim=(1, 2)).float().mean()
    assert abs(share - 0.35) < 0.05


def test_a_mask_wider_than_the_clip_covers_it():
    assert not changed(time_mask_probability=1.0, time_mask_frames=1000).any()


def test_no_steps_means_no_shift():
    assert torch.equal(changed(shift_probability=1.0, shift_steps=0), CLIPS)
