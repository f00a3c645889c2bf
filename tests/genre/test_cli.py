import sys

import pytest

from genre import cli


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
