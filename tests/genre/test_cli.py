import sys

import pytest

from genre import cli
from tests.architecture import ROOT


@pytest.mark.parametrize(
    "words",
    [["recipe"], ["recipe", "unet"], ["study", "mine"], ["experiments"], ["suspects"], ["sync", "--dry-run"]],
    ids=" ".join,
)
def test_a_command_that_reads_the_repository_tells_that_it_must_run_in_its_root(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["genre", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = (
        f"error: genre {words[0]} must run in the repository's root, but {tmp_path} has no dvc.yaml; "
        "change into the root and run it again"
    )
    assert capsys.readouterr().err.splitlines() == [told]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seeds", ["²", "x", "1,-2", "1.5"])
def test_seeds_that_are_no_whole_numbers_are_refused(monkeypatch, capsys, seeds):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["genre", "study", "mine", "--seeds", seeds])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = f"error: --seeds must be whole numbers with commas between them, got {seeds!r}"
    assert capsys.readouterr().err.splitlines() == [told]
