import json

import pytest
from ruamel.yaml import YAML

from genre import study
from genre.history import revisions
from genre.pipeline.settings import Settings
from tests.architecture import ROOT
from tests.house import House


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_a_plan_has_every_recipe_protocol_and_seed_once():
    runs = study.plan("s", ["unet", "reference"], ["stratified", "by-repetition"], [1, 2, 3])
    assert len({run.name for run in runs}) == 12
    assert runs[0].name == "s--unet-stratified-1"
    assert study.plan("s", ["unet", "unet"], ["stratified"] * 2, [2, 1, 2]) == [
        study.Run("s", "unet", "stratified", seed) for seed in (2, 1)
    ]


def test_the_seed_is_of_split_and_training_and_texts_are_quoted_for_dvc():
    words = study.Run("s", "reference", "by-artist", 7).overrides()
    assert words[::2] == ["-S"] * (len(words) // 2)
    assert {"split.seed=7", "train.seed=7", "train.crop_frames=null", "model.network='reference'",
            "split.group_by='artist'"} <= set(words)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s", ["unett"], ["stratified"], [1]), r"\['unett'\] is not a recipe; there are .*reference"),
        (("s", ["unet"], ["random"], [1]), r"\['random'\] is not a protocol; there are stratified"),
        (("s", ["unet"], ["stratified"], []), "must have a name without `--` and a seed"),
        (("a--b", ["unet"], ["stratified"], [1]), "must have a name without `--` and a seed, got 'a--b'"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused_before_anything_is_queued(arguments, message):
    with pytest.raises(ValueError, match=message):
        study.plan(*arguments)


def test_a_run_of_an_earlier_call_must_have_the_parameters_of_the_new_ones():
    here = Settings.read(ROOT / "params.yaml").flat()
    one = study.Run("mine", "unet", "by-artist", 7)
    study.check_same(one, here | one.values(), here)
    with pytest.raises(ValueError, match=r"mine--unet-by-artist-7 ran with data\.seed 42, new runs would have 43"):
        study.check_same(one, here | one.values(), here | {"data.seed": 43})
    with pytest.raises(ValueError, match=r"ran with train\.epochs 18, new runs would have 40; .* another name"):
        study.check_same(one, here | one.values() | {"train.epochs": 18}, here)


class Queue:
    """Stands in for DVC: a queue whose runs end at once as `outcome` says, and the experiments that there are."""

    def __init__(self, monkeypatch, states: dict[str, str], outcome: str) -> None:
        self.states, self.outcome, self.calls, self.names = states, outcome, [], set()
        monkeypatch.setattr(study, "_dvc", lambda *words: self.call(words))
        monkeypatch.setattr(study.subprocess, "run", lambda *_, **__: self.work())
        monkeypatch.setattr(study, "POLL_SECONDS", 0.01)
        monkeypatch.setattr(revisions, "experiments", lambda: [revisions.Revision("c", name) for name in self.names])

    def call(self, words: tuple[str, ...]) -> str:
        if words[:2] == ("queue", "status"):
            rows = [f"c0ffee1  {name}  05:32 PM  {state}" for name, state in self.states.items()]
            return "\n".join(["Task  Name  Created  Status", *rows, "", "Worker status: 0 active, 1 idle"])
        self.calls.append(words[:2])
        if words[1] == "remove":
            for name in words[2:]:
                del self.states[name]
        else:
            assert words[4] not in self.states
            self.states[words[4]] = "Queued"
        return ""

    def work(self) -> None:
        for name, state in self.states.items():
            if state == "Queued":
                self.states[name] = self.outcome
                self.names |= {name} if self.outcome == "Success" else set()


def test_the_queue_is_read_as_dvc_prints_it(monkeypatch):
    Queue(monkeypatch, {"a": "Running", "b": "Queued"}, "Success")
    assert study.queue() == ({"a": ("c0ffee1", "Running"), "b": ("c0ffee1", "Queued")}, 0)
    monkeypatch.setattr(
        study, "_dvc", lambda *_: "No experiment tasks in the queue.\n\nWorker status: 2 active, 0 idle"
    )
    assert study.queue() == ({}, 2)


@pytest.mark.parametrize("before", [None, "Failed", "Success", "Queued"])
def test_a_run_without_an_experiment_is_queued_again_with_the_present_parameters(monkeypatch, before):
    (one,) = study.plan("s", ["unet"], ["stratified"], [1])
    queue = Queue(monkeypatch, {one.name: before} if before else {}, "Success")
    study.run([one], jobs=1)
    assert queue.names == {one.name}
    assert queue.calls == [("queue", "remove")] * (before is not None) + [("exp", "run")]


def test_a_run_that_runs_now_is_waited_for_if_it_has_the_present_parameters(monkeypatch):
    one, other = study.plan("s", ["unet"], ["stratified"], [1, 2])
    queue = Queue(monkeypatch, {one.name: "Running", other.name: "Queued"}, "Success")
    ran_with = Settings.read(ROOT / "params.yaml").flat() | one.values() | {"data.seed": 43}
    monkeypatch.setattr(revisions.Revision, "read", lambda *_: yaml_of(ran_with))
    with pytest.raises(ValueError, match=r"s--unet-stratified-1 ran with data\.seed 43, new runs would have 42"):
        study.run([one, other], jobs=1)
    assert queue.calls == []
    ran_with["data.seed"] = 42
    queue.work = lambda: queue.names.update((one.name, other.name))
    study.run([one, other], jobs=1)
    assert queue.calls == [("queue", "remove"), ("exp", "run")]


def test_a_run_that_ends_while_the_queue_is_read_is_not_queued_again(monkeypatch):
    (one,) = study.plan("s", ["unet"], ["stratified"], [1])
    queue = Queue(monkeypatch, {one.name: "Running"}, "Success")
    call = queue.call

    def ends(words):
        text = call(words)
        queue.states[one.name] = "Success"
        queue.names.add(one.name)
        return text

    queue.call = ends
    study.run([one], jobs=1)
    assert queue.calls == []


def yaml_of(values) -> bytes:
    sections: dict[str, dict] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return json.dumps(sections).encode()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("Running", r"its worker is gone.*; `dvc queue kill --force s--unet-stratified-1` sets it to Failed, then run"),
        ("Queued", "no worker of DVC's queue has begun with run s--unet-stratified-1; run again"),
    ],
)
def test_a_run_without_a_worker_is_not_waited_for(monkeypatch, state, message):
    (one,) = study.plan("s", ["unet"], ["stratified"], [1])
    queue = Queue(monkeypatch, {one.name: state}, "Success")
    here = Settings.read(ROOT / "params.yaml").flat() | one.values()
    monkeypatch.setattr(revisions.Revision, "read", lambda *_: yaml_of(here))
    queue.work = lambda: None
    with pytest.raises(ValueError, match=message):
        study.run([one], jobs=1)


def test_a_run_that_fails_is_named_and_one_that_vanishes_is_not_waited_for(monkeypatch):
    runs = study.plan("s", ["unet"], ["stratified"], [1])
    for outcome in ("Failed", "Cancelled"):
        Queue(monkeypatch, {}, outcome)
        with pytest.raises(ValueError, match=r"run s--unet-stratified-1 failed; `dvc queue logs s--unet-stratified-1`"):
            study.run(runs, jobs=1)


def test_a_study_without_a_worker_is_refused(monkeypatch):
    queue = Queue(monkeypatch, {}, "Success")
    with pytest.raises(ValueError, match="--jobs must be at least 1, got 0"):
        study.run(study.plan("s", ["unet"], ["stratified"], [1]), jobs=0)
    assert queue.calls == []


class Stored:
    """Stands in for an experiment whose metrics are at hand."""

    def __init__(self, right: list[int], subset: str = "test") -> None:
        rows = [f"t{n},{subset},a,{'a' if hit else 'b'}" for n, hit in enumerate(right)]
        tracks = "\n".join(["track,subset,actual,predicted", *rows])
        scores = {"valid": {"clip_accuracy": 0.0}, subset: {"clip_accuracy": sum(right) / len(right)}}
        baselines = dict.fromkeys(study.SYSTEMS[1:], scores)
        self.files = {"metrics/metrics.json": json.dumps({**scores, "leaks": 0}), "metrics/tracks.csv": tracks,
                      "metrics/baselines.json": json.dumps(baselines)}  # fmt: skip
        self.files |= {f"metrics/baselines/{name}.csv": tracks for name in baselines}

    def read(self, path: str) -> bytes:
        return self.files[path].encode()


def test_the_table_has_every_system_and_says_what_the_recipes_differ_by(monkeypatch):
    def resolve(names):
        return [Stored([1] * 20 if "unet" in names[0] else [0, 1] * 10)]

    monkeypatch.setattr(revisions, "resolve", resolve)
    text = study.table(study.plan("s", ["unet", "reference"], ["stratified"], [1, 2]))
    assert "| unet | stratified | network | 2 | 20 test | 100.0% (83.9% to 100.0%) | 0.0% | 100.0% |" in text
    assert "| reference | stratified | linear | 2 | 20 test | 50.0% (" in text
    assert "- stratified: unet, network, less reference, network: +50.0 points by track" in text
    assert text.count("| stratified |") == 8


def test_without_a_test_subset_the_table_names_the_tracks_of_valid(monkeypatch):
    monkeypatch.setattr(revisions, "resolve", lambda _: [Stored([0, 1] * 10, "valid")])
    text = study.table(study.plan("s", ["unet"], ["stratified"], [1]))
    assert "| unet | stratified | network | 1 | 20 valid | 50.0% (" in text
    assert "no more than the chance choice of valid tracks explains" in text
    assert "test" not in text


@pytest.mark.slow
def test_a_study_runs_in_dvc_s_queue_once_and_is_a_family_of_runs_in_mlflow(tmp_path, corpus):
    house = House(tmp_path / "house", corpus)
    tiny = "train: {epochs: 2, crop_frames: null}\nmodel: {base_channels: 2}\n"
    for name, dropout in (("one", 0.1), ("two", 0.2)):
        (house.root / "recipes" / f"{name}.yaml").write_text(f"# {name}\n{tiny}augment: {{noise_level: {dropout}}}\n")
    house.commit("recipes")
    words = ["genre", "study", "small", "--recipes", "one,two", "--seeds", "1,2"]
    name = "small--one-stratified-1"  # it waits since an earlier call, with another value
    house.run("dvc", "exp", "run", "--queue", "--name", name, "-S", "augment.noise_level=0.9", "-S", "train.seed=1")
    first = house.run(*words).stdout
    assert "| one | stratified | network | 2 |" in first
    assert house.run(*words).stdout == first
    queued = house.run("dvc", "queue", "status").stdout
    assert queued.count("Success") == 4
    ran_with = YAML(typ="safe").load(house.run("git", "show", f"{experiment_ref(house, name)}:params.yaml").stdout)
    assert ran_with["augment"]["noise_level"] == 0.1


def experiment_ref(house, name: str) -> str:
    refs = house.run("git", "for-each-ref", "refs/exps", "--format=%(refname)").stdout.split()
    return next(ref for ref in refs if ref.endswith(f"/{name}"))
