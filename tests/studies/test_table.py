import numpy as np
import pandas as pd
import pytest

from genre import compare
from genre.evaluation import metrics
from studies import table as studies


def verdicts(rights, seeds=(1, 2), system="network"):
    """`rights` has a row a track with a verdict for each seed; None where the seed does not test the track."""
    rows = [
        {"system": system, "seed": seed, "track": f"t{number}", "right": right}
        for number, row in enumerate(rights)
        for seed, right in zip(seeds, row, strict=True)
        if right is not None
    ]
    return pd.DataFrame(rows)


def test_mean_and_deviation_are_over_seeds():
    scored = studies.summary(verdicts([(1, 1), (1, 0), (0, 0), (1, None)]))
    assert (scored["seeds"], scored["tracks"], scored["verdicts"]) == (2, 4, 7)
    assert scored["track_accuracy"] == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert scored["track_accuracy_sd"] == pytest.approx((3 / 4 - 1 / 3) / np.sqrt(2))


def test_the_same_verdicts_in_more_seeds_make_no_interval_narrower():
    rights = np.random.default_rng(0).integers(0, 2, 40).tolist()
    once, thrice = verdicts([(right,) for right in rights], seeds=(1,)), verdicts([(r,) * 3 for r in rights], (1, 2, 3))
    first, second = studies.summary(once), studies.summary(thrice)
    keys = ("track_accuracy", "track_accuracy_low", "track_accuracy_high")
    assert [first[key] for key in keys] == pytest.approx([second[key] for key in keys])
    assert first["track_accuracy_high"] - first["track_accuracy_low"] == pytest.approx(
        2 * 1.96 * 0.5 / 40**0.5, abs=0.04
    )


def test_a_single_seed_has_no_deviation_and_perfect_verdicts_the_interval_of_their_tracks():
    scored = studies.summary(verdicts([(1,)] * 5, seeds=(1,)))
    assert scored["track_accuracy_sd"] == 0
    assert (scored["track_accuracy_low"], scored["track_accuracy_high"]) == metrics.wilson(5, 5)
    none = studies.summary(verdicts([(0, 0)] * 5))
    assert (none["track_accuracy_low"], none["track_accuracy_high"]) == metrics.wilson(0, 5)


@pytest.mark.parametrize(("only_a", "only_b"), [(4, 0), (5, 0), (6, 0), (8, 1), (10, 4), (0, 0)])
def test_with_one_verdict_a_track_luck_is_mcnemars(only_a, only_b):
    sums = np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * 20)
    assert studies.luck(sums) == pytest.approx(compare.mcnemar(only_a, only_b), abs=0.015)


def test_a_difference_is_paired_and_says_whether_it_is_luck():
    good, bad = verdicts([(1, 1)] * 20), verdicts([(0, 1)] * 10 + [(1, 1)] * 10)
    assert studies.difference("x", good, "y", bad).startswith("x, less y: +25.0 points by track (95 % interval +")
    assert studies.difference("x", good, "y", bad).endswith("): more than luck")
    close = verdicts([(1, 1)] * 19 + [(0, 1)])
    assert studies.difference("x", close, "y", good).endswith("not more than the luck of which tracks test")


def test_systems_that_test_different_tracks_are_refused():
    with pytest.raises(ValueError, match="x and y must test the same tracks, 't1' is in one alone"):
        studies.difference("x", verdicts([(1, 1)] * 2), "y", verdicts([(1, 1)]))


def test_a_study_without_recipes_is_refused(tmp_path):
    (tmp_path / "study.yaml").write_text("recipes: []\nprotocols: [{name: a, set: ''}]\nseeds: [1]\n")
    with pytest.raises(ValueError, match=r"study.yaml must list at least one of recipes, got \[\]"):
        studies.read_study(tmp_path / "study.yaml")


def _write_run(folder, right, system_right):
    for name, rights in (("tracks.csv", right), *((f"baselines/{s}.csv", system_right) for s in studies.SYSTEMS[1:])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows = [(f"t{n}", "test", "a", "a" if hit else "b") for n, hit in enumerate(rights)]
        pd.DataFrame(rows, columns=["track", "subset", "actual", "predicted"]).to_csv(folder / name, index=False)
    (folder / "metrics.json").write_text('{"test": {"clip_accuracy": 0.5}, "leaks": 0}')
    others = ", ".join(f'"{system}": {{"test": {{"clip_accuracy": 0.25}}}}' for system in studies.SYSTEMS[1:])
    (folder / "baselines.json").write_text(f"{{{others}}}")


def test_the_table_has_a_row_a_recipe_and_system_and_sentences_on_the_differences(tmp_path):
    (tmp_path / "study.yaml").write_text(
        "seeds: [1, 2]\nprotocols: [{name: stratified, set: ''}]\nrecipes: [{name: ours, set: ''}, {name: theirs, set: ''}]\n"
    )
    for recipe, right in (("ours", [1, 1, 1, 0]), ("theirs", [1, 0, 0, 0])):
        for seed in (1, 2):
            _write_run(tmp_path / "runs" / recipe / "stratified" / str(seed) / "metrics", right, [1, 1, 0, 0])
    studies.main(None, tmp_path / "study.yaml", tmp_path / "runs", tmp_path / "r.csv", tmp_path / "r.md")
    table = pd.read_csv(tmp_path / "r.csv")
    assert len(table) == 2 * 4
    assert table[table["system"] == "network"]["track_accuracy"].tolist() == [0.75, 0.25]
    assert table["clip_accuracy"].tolist() == [0.5, 0.25, 0.25, 0.25] * 2
    page = (tmp_path / "r.md").read_text()
    assert "| ours | stratified | network | 2 | 4 | 75.0% (" in page
    assert "- stratified: ours, network, less theirs, network: +50.0 points by track" in page
    assert "theirs, network, less theirs, linear baseline: -25.0 points" in page
