"""What README and docs show is true of the code: their commands run as they are typed, and what they name exists."""

import contextlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
import soundfile

from genre.cli import parser
from tests.conftest import RATE, tone
from tests.house import ROOT, House

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Commands that are not run here, and why.
NOT_RUN = {
    r"^make (repro|test|env)": "CI runs these themselves",
    r"^make ui": "a server that does not end",
    r"^mlflow models serve|^curl|^printf": "a server; test_experiments serves a model and asks it",
    r"data\.source=gtzan": "fetches 1.2 GB; downloads are tested with a server of our own",
    r"^genre study": "hours; test_study runs a small one",
    r"^torchrun|^srun": "several machines; test_distributed runs two processes",
    r"^dask|^DASK|^GENRE_DASK": "servers; test_cluster runs a scheduler and two workers",
    r"^pip install": "asks the package index",
    r"^git clone|^dvc (push|pull|remote)|^dvc exp (push|pull)": "needs another place, or credentials",
    r"^python -m benchmarks": "takes long; a measurement",
    r"^for seed in|^dvc queue start": "a queue in the background; test_experiments runs one",
    r"^export MLFLOW_TRACKING_URI": "of one shell",
}


@dataclass(frozen=True)
class Command:
    """A line of a block of commands."""

    document: str
    text: str

    @property
    def reason(self) -> str:
        """Why it is not run, or nothing."""
        return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, self.text)), "")


def commands() -> list[Command]:
    """Returns the commands of all blocks marked `sh`, without comments, continued lines joined."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.S | re.M):
            lines = [re.sub(r"(^|\s+)# .*", "", line).strip() for line in block.replace("\\\n", " ").splitlines()]
            found += [Command(document.name, text) for text in lines if text]
    return found


def test_every_reason_not_to_run_a_command_is_still_needed():
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, one.text) for one in commands())] == []


def help_of(*words: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        parser().parse_args([*words, "--help"])
    return shown.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_genre_that_a_text_names_exists_with_its_options(document):
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`genre ([a-z]+)([^`]*)`", text) + re.findall(r"^genre ([a-z]+)([^#\n]*)", text, re.M)
    for name, rest in named:
        shown = help_of(name)
        for option in re.findall(r"--[a-z][a-z0-9-]*", rest):
            assert option in shown, f"genre {name} {option}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_or_a_heading_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        file = document.parent / path if path else document
        assert file.exists() or file.is_relative_to(ROOT / "metrics"), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    """A repository whose pipeline has run, with an experiment, a song, lists, and a music folder in the home folder."""
    base = tmp_path_factory.mktemp("documentation")
    for place, genre in enumerate(("high", "low")):
        for number in range(6):
            album = min(number, 4)
            file = base / "home/Music/by-genre" / genre / f"artist {album}/album {album}" / f"{genre}.{number}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, tone((2000, 200)[place] * (1 + 0.1 * number), 7.0), RATE)
    shutil.copytree(base / "home/Music/by-genre/high/artist 0/album 0", base / "home/Music/unsorted")
    house = House(base / "house", base / "home/Music/by-genre")
    house.environment["HOME"] = str(base / "home")
    params = house.root / "params.yaml"
    text = params.read_text(encoding="utf-8")
    assert "epochs: 2\n" in text
    params.write_text(text.replace("epochs: 2\n", "epochs: 30\n"), encoding="utf-8")  # a model that is sure gives tags
    for key in ("name", "email"):
        house.run("git", "config", f"user.{key}", "a")  # as the README asks for
    soundfile.write(house.root / "song.wav", tone(2000, 7.0), RATE)
    soundfile.write(house.root / "song.mp3", tone(2000, 7.0), RATE)
    house.run("dvc", "repro", "-q")
    tracks = [line.split(",")[0] for line in (house.root / "data/tracks.csv").read_text().splitlines()[1:]]
    subsets = [("train", "train", "valid", "test")[number % 4] for number in range(len(tracks))]
    groups = ["/".join(track.split("/")[:2]) for track in tracks]  # an album each
    rows = {"albums.csv": "track,group\n" + "".join(map("{},{}\n".format, tracks, groups))}
    rows["my-split.csv"] = "track,subset\n" + "".join(map("{},{}\n".format, tracks, subsets))
    for name, text in rows.items():
        (house.root / "data/lists" / name).write_text(text)
    house.run("dvc", "repro", "-q")
    house.run("git", "tag", "v1.0")
    house.commit("second")
    house.run("git", "branch", "-f", "main")
    house.run("dvc", "exp", "run", "-q", "-n", "my-experiment", "-S", "train.epochs=1")
    return house


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_runs_as_it_is_typed(house, document):
    house.run("git", "checkout", "--", ".")
    house.run("dvc", "checkout", "-q")
    for command in commands():
        if command.document == document.name and not command.reason:
            done = subprocess.run(
                command.text, shell=True, cwd=house.root, env=house.environment, capture_output=True, text=True,
                check=False, timeout=900,
            )  # fmt: skip
            assert done.returncode == 0, f"{command.text}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def test_the_blocks_show_commands_that_are_run():
    run = [command for command in commands() if not command.reason]
    assert len(run) >= 20
    assert {command.document for command in run} >= {"README.md", "evaluation.md", "tracking.md", "music-folder.md"}


def test_the_tree_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "genre").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(re.findall(r"^  (\w+)/ ", text, re.M))


def test_no_page_names_a_file_of_the_package_that_is_gone():
    for document in DOCUMENTS:
        for name in re.findall(
            r"`((?:genre|stages|benchmarks|tests)/[\w/]+\.py)`", document.read_text(encoding="utf-8")
        ):
            assert (ROOT / name).is_file(), f"{document.name}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(document):
    lines = re.sub(r"`[^`\n]*`", "``", document.read_text(encoding="utf-8")).splitlines()
    head = ""
    for number, line in enumerate(lines, 1):
        head = (head or line) if line.startswith("|") else ""
        assert line.count("|") == head.count("|") or not head, f"{document.name}:{number}"


def test_the_results_in_the_readme_are_those_of_the_metrics():
    scores = json.loads((ROOT / "metrics/metrics.json").read_text(encoding="utf-8"))
    cells = []
    for subset in ("valid", "test"):
        by_track, low, high = (scores[subset][f"track_accuracy{end}"] for end in ("", "_low", "_high"))
        cells += [f"{by_track:.1%} ({low:.1%} to {high:.1%})", f"{scores[subset]['clip_accuracy']:.1%}"]
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Results, and what they mean")[2]
    assert re.search(r"^\| the network \| (.*) \|$", text, re.M)[1].split(" | ") == cells
