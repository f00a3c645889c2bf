import json
import sys

import pandas as pd

from benchmarks import unet_recipe
from tests.genre.training.conftest import two_genres


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["unet_recipe", *map(str, words)])
    unet_recipe.main()


def test_a_variant_is_trained_and_compared_with_the_recipe(tmp_path, monkeypatch, capsys):
    corpus = two_genres(tmp_path, tracks=8, frames=64, n_mels=32)
    table = pd.DataFrame({"track": list(corpus.index)})
    table["genre"] = [track.partition("/")[0] for track in table["track"]]
    table["subset"] = (table.groupby("genre").cumcount() % 2).map({0: "train", 1: "valid"})
    table.to_csv(tmp_path / "split.csv", index=False)
    files = [tmp_path / "v.npy", tmp_path / "i.csv", tmp_path / "split.csv"]
    results = tmp_path / "results.jsonl"
    short = ["epochs=1", "crops=1", "crop_frames=32", "batch_size=2", "--read-epochs", 1]
    run(monkeypatch, "train", *files, results, "recipe", *short)
    run(
        monkeypatch,
        "train",
        *files,
        results,
        "mixed",
        "mixup=0.3",
        "style=0.5",
        "standardised=true",
        "pool=mean-max",
        *short,
    )
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(line["tag"], line["what"]) for line in lines] == [
        ("recipe", "last"), ("recipe", "average 0.99"), ("mixed", "last"), ("mixed", "average 0.99"),
    ]  # fmt: skip
    assert set(lines[0]["correct"]) == set(table.loc[table["subset"] == "valid", "track"])
    capsys.readouterr()
    run(monkeypatch, "table", results, "--baseline", "recipe")
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["last", "average 0.99"] * 2
    assert "+0.0 (+0.0 to +0.0)" in rows[0]
