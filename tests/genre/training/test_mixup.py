import numpy as np
import torch
from scipy.stats import beta, kstest

from genre.training import mixup
from tests.genre.training.test_batches import OFF, clips
from tests.genre.training.test_loop import fit


def test_shares_follow_the_beta_distribution_folded_at_one_half():
    shares = mixup.draw_shares(0.4, 5000, 1).numpy().astype(float)
    assert shares.min() >= 0.5
    assert kstest(shares, lambda x: beta.cdf(x, 0.4, 0.4) - beta.cdf(1 - x, 0.4, 0.4)).pvalue > 0.01


def test_the_seed_decides():
    assert torch.equal(mixup.draw_shares(0.4, 50, 1), mixup.draw_shares(0.4, 50, 1))
    assert not torch.equal(mixup.draw_shares(0.4, 50, 1), mixup.draw_shares(0.4, 50, 2))


def test_each_clip_is_mixed_with_the_next_one_and_the_last_with_the_first():
    ramp = torch.tensor([0.0, 1.0, 3.0])[:, None, None].expand(3, 2, 4)
    mixed = mixup.mix(ramp, torch.tensor([1.0, 0.5, 0.75]))
    np.testing.assert_allclose(mixed[:, 0, 0], [0.0, 2.0, 2.25])
    assert mixup.partners(torch.tensor([4, 5, 6])).tolist() == [5, 6, 4]


def test_a_batch_has_the_labels_of_both_clips_and_their_shares(spectrograms):
    plain = list(clips(spectrograms, augmentation=OFF).batches(1, 5))
    for before, batch in zip(plain, clips(spectrograms, augmentation=OFF, mixup=0.4).batches(1, 5), strict=True):
        assert torch.equal(batch.labels, before.labels)
        assert torch.equal(batch.others, before.labels.roll(-1))
        torch.testing.assert_close(batch.clips, mixup.mix(before.clips, batch.shares))


def test_without_mixup_no_shares_are_drawn(spectrograms):
    batch = next(clips(spectrograms).batches(1, 5))
    assert batch.shares is None
    assert batch.others is None


def test_a_network_learns_from_mixed_clips(spectrograms):
    _, state = fit(spectrograms, epochs=15, mixup=0.2)
    assert state.history[-1]["valid_accuracy"] == 1.0
