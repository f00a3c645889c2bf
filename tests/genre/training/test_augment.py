import pytest
import torch

from genre.training import augment

OFF = {
    "stretch_probability": 0.0, "stretch_tempo": 1.25, "stretch_bands": 3.0, "style_probability": 0.0,
    "mask_fill": "floor",
    "noise_probability": 0.0, "noise_level": 0.1, "shift_probability": 0.0, "shift_step": 4, "shift_steps": 3,
    "time_mask_probability": 0.0, "time_masks": 3, "time_mask_frames": 5, "mel_mask_probability": 0.0,
    "mel_masks": 2, "mel_mask_bands": 6, "band_limit_probability": 0.0, "band_limit_lowest": 0.625,
    "band_limit_slope": 4, "equaliser_probability": 0.0, "equaliser_level": 0.1, "hole_probability": 0.0,
    "hole_lowest": 0.5, "hole_frames": 5,
}  # fmt: skip
KINDS = [name.removesuffix("_probability") for name in OFF if name.endswith("_probability")]
CLIPS = torch.rand(16, 32, 64, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def changed(seed=0, **sizes):
    return augment.augment(CLIPS, generator=torch.Generator().manual_seed(seed), **{**OFF, **sizes})


def test_all_off_changes_nothing():
    assert torch.equal(changed(), CLIPS)


def test_a_kind_of_probability_0_draws_no_random_numbers():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    augment.augment(CLIPS, generator=generator, **OFF)
    assert torch.equal(generator.get_state(), before)


def test_the_seed_decides():
    options = {"noise_probability": 0.5, "shift_probability": 0.5, "time_mask_probability": 0.5}
    assert torch.equal(changed(3, **options), changed(3, **options))
    assert not torch.equal(changed(3, **options), changed(4, **options))


def test_the_input_is_left_as_it_is():
    before = CLIPS.clone()
    changed(**{f"{kind}_probability": 1.0 for kind in KINDS})
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


def test_masks_are_filled_with_the_mean_of_the_clip():
    filled = changed(time_mask_probability=1.0, mask_fill="mean")
    hidden = changed(time_mask_probability=1.0) == 0
    assert torch.equal(filled != CLIPS, hidden)
    means = CLIPS.mean((1, 2), keepdim=True).expand_as(CLIPS)
    torch.testing.assert_close(filled[hidden], means[hidden])


def test_another_tempo_moves_events_along_time_and_another_pitch_bands():
    clips = torch.zeros(200, 32, 64)
    clips[:, 10, :] = 1.0
    clips[:, :, 48] += 1.0
    generator = torch.Generator().manual_seed(0)
    after = augment.stretch(clips, tempo=1.25, bands=3.0, generator=generator)
    bands = after.mean(2).argmax(1)
    assert bands.unique().tolist() == [7, 8, 9, 10, 11, 12, 13]
    later = after[:, :2, 40:].mean(1).argmax(1) + 40
    assert (later.min(), later.max()) == (45, 52)  # 16.5 / 1.25 to 16.5 * 1.25 frames after 32


def test_style_is_the_mean_and_deviation_of_each_band_and_comes_from_the_clip_before():
    levels = torch.tensor([0.2, 0.5, 0.8])[:, None, None]
    clips = levels + 0.1 * (CLIPS[:3] - CLIPS[:3].mean(2, keepdim=True)) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    mixed = torch.cat([augment.mix_styles(clips, generator=torch.Generator().manual_seed(seed)) for seed in range(300)])
    means, deviations = mixed.mean(2).view(300, 3, 32), mixed.std(2).view(300, 3, 32)
    before, own = clips.roll(1, 0), clips
    for number in range(3):
        ends = sorted((own[number].mean().item(), before[number].mean().item()))
        shares = (means[:, number].mean(1) - ends[0]) / (ends[1] - ends[0])
        assert shares.min() > -0.01
        assert shares.max() < 1.01
        assert 0.4 < ((shares < 0.15) | (shares > 0.85)).float().mean() < 0.6  # Beta(0.5, 0.5): 0.506
    torch.testing.assert_close(
        (mixed.view(300, 3, 32, 64) - means[..., None]) / deviations[..., None],
        ((clips - clips.mean(2, keepdim=True)) / clips.std(2, keepdim=True)).expand(300, 3, 32, 64), atol=1e-3, rtol=1e-3,
    )  # fmt: skip


def test_a_silent_band_gets_the_level_of_the_other_clip_and_no_noise():
    clips = CLIPS[:2].clone()
    clips[1, 5] = 0.0
    mixed = augment.mix_styles(clips, generator=torch.Generator().manual_seed(1))
    assert mixed.isfinite().all()
    assert mixed[1, 5].std() < 1e-6
    assert 0 <= mixed[1, 5, 0] <= clips[0, 5].mean() + 1e-6


@pytest.mark.parametrize("kind", KINDS)
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


def test_a_band_limit_silences_bands_above_a_cut_off_and_touches_none_below():
    limited = changed(band_limit_probability=1.0)
    assert torch.equal(limited[:, :20], CLIPS[:, :20])
    silent = (limited == 0).all(dim=2)  # (batch, mel)
    assert silent.any(dim=1).float().mean() > 0.5
    assert torch.equal(silent.cummax(dim=1).values, silent)
    assert len({row.sum().item() for row in silent}) > 3


def test_the_soft_slope_of_a_band_limit_falls_over_at_most_as_many_bands_as_said():
    loss = CLIPS.mean(dim=2) - changed(band_limit_probability=1.0).mean(dim=2)
    lowered, silent = loss > 1e-6, (changed(band_limit_probability=1.0) == 0).all(dim=2)
    assert (lowered & ~silent).sum(dim=1).max() == 3


def test_the_abrupt_end_of_a_band_limit_leaves_no_band_between():
    limited = changed(band_limit_probability=1.0, band_limit_slope=1)
    assert torch.equal(limited == 0, (limited != CLIPS))


def test_an_equaliser_moves_each_band_by_one_smooth_gain_within_its_level():
    gains = changed(equaliser_probability=1.0) - CLIPS
    assert torch.allclose(gains, gains[:, :, :1].expand_as(gains), atol=1e-6)
    assert 0.08 < gains.abs().max() <= 0.1 + 1e-6
    assert gains.diff(dim=1).abs().max() < 0.2 * 4 / 31 + 1e-6  # of a straight line over a quarter of the bands


def test_an_equaliser_leaves_silence_silent():
    silence = torch.zeros(4, 32, 64)
    sizes = {**OFF, "equaliser_probability": 1.0}
    assert not augment.augment(silence, generator=torch.Generator().manual_seed(0), **sizes).any()


def test_holes_are_in_high_bands_and_last_a_stretch():
    hidden = changed(hole_probability=1.0) == 0
    assert not hidden[:, :16].any()
    assert torch.equal(hidden.cummax(dim=1).values, hidden)
    stretches = hidden[:, :, :60].unflatten(2, (12, 5))
    assert torch.equal(stretches.any(dim=3), stretches.all(dim=3))
    assert 0.3 < stretches[:, -1].any(dim=2).float().mean() < 0.6


@pytest.mark.parametrize("mels", [32, 96, 256])
@pytest.mark.parametrize("kind", ["band_limit", "hole"])
def test_the_lowest_band_is_a_share_of_however_many_there_are(kind, mels):
    sizes = {**OFF, f"{kind}_probability": 1.0, f"{kind}_lowest": 0.75}
    after = augment.augment(torch.ones(2000, mels, 8), generator=torch.Generator().manual_seed(0), **sizes)
    assert (after == 1).all(2).all(0).sum() == 0.75 * mels


def test_no_band_above_a_share_of_1_is_no_fault():
    for kind in ("band_limit", "hole"):
        assert torch.equal(changed(**{f"{kind}_probability": 1.0, f"{kind}_lowest": 1.0}), CLIPS)
