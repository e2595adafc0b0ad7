"""What reads files, and the small world in which it does. A new reader is one line of `READERS`."""

import contextlib
import functools
import gzip
import importlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch
import yaml
import zstandard
from huggingface_hub import get_session
from worlds import REPOSITORY
from worlds.bundles import wheel
from worlds.campaign import FIGURES, RUNS
from worlds.public import LOGS, LOSSES, delphi_facts, lr_scheduling_facts, page, rows_of, write_logs
from worlds.released import recommend, release, sealed
from worlds.small import synthetic, synthetic_config
from worlds.tiny import TINY, write_texts

from cpt_dynamics import experiments, figures, logs
from cpt_dynamics.claims import file as claims
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, load
from cpt_dynamics.corpora import archives, cache, hub, local
from cpt_dynamics.curves import public, table
from cpt_dynamics.curves.public import delphi, lr_scheduling
from cpt_dynamics.curves.released import seal
from cpt_dynamics.experiments import Plan
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig01.result import Result
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.result import read_result, to_json
from cpt_dynamics.files import SEAL, plain, sha256, write_json
from cpt_dynamics.files import sealed as resealed
from cpt_dynamics.leaderboard import board
from cpt_dynamics.leaderboard import fits as law_fits
from cpt_dynamics.leaderboard import results as benchmark
from cpt_dynamics.leaderboard.scores import Score
from cpt_dynamics.logs.expressions import parse
from cpt_dynamics.logs.measured import of_set
from cpt_dynamics.report.agreement import results as agreement
from cpt_dynamics.training import branch as branches
from cpt_dynamics.training import loop, work

Words = tuple[str, ...]
Call = Callable[[], object]

ROOT = Path("results/tiny")
RELEASE = Path("data/released/tiny")
RELEASED = ("--configfile", "released.yaml")
PT = "warmup 50 to 8e-3; constant 750; linear 200 to 8e-4"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOG_OF = next(iter(LOGS))  # the run of public/stable.json


@dataclass(frozen=True)
class Reader:
    """What reads a file.

    name : what it is called
    file : where an input is put; what stands there in the world is what inputs are made from
    call : the words of a command, or a function
    stated : what states the digest of the file anew, so that an input gets past the comparison; for half of the inputs
    seed : where the valid content lies if nothing stands at `file`
    """

    name: str
    file: str
    call: Words | Call
    stated: Call | None = None
    seed: str = ""


def found(pattern: str) -> Path:
    """The file that a pattern names: a branch has a digest in its name."""
    return next(iter(sorted(Path().glob(pattern))), Path(pattern))


# --- the world -----------------------------------------------------------------------------------------------------


def _write_public(folder: Path) -> None:
    """A log, a page and tables as the public sets have them, and facts about them."""
    public_files = write_logs(folder / "public")
    (public_files / "fixed.html").write_text(page(), encoding="utf-8")
    delphi_facts(public_files / "unchecked.yaml", runs={})
    lr_scheduling_facts(public_files / "logs.yaml")
    for name in ("points", "runs"):
        (folder / name).mkdir()
    points = [f"{run},{step},{loss}" for run, rows in LOSSES.items() for step, loss in rows.items()]
    (folder / "points/curves.csv").write_text("\n".join(["run_id,step,loss", *points, ""]), encoding="utf-8")
    rows = pd.DataFrame([(LOG_OF, *row) for row in rows_of(LOG_OF)], columns=["run", "step", "loss"])
    rows.to_parquet(folder / "runs/curves.parquet")


def make(folder: Path) -> None:
    """Make the world in an empty folder, in a few seconds: five branches that are trained, and what comes of them."""
    write_texts(folder / "text")
    _write_public(folder)
    for part in ("data/published", "config/claims.yaml"):
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shown = {**FIGURES, "recommendations": {"title": "Recommended values", "runs": ["trunk", "fork"]}}
    model = {"models": {"small": None, "own": {"pretrained": "model"}}, "tokenizer": {"pretrained": "model"}}
    written: dict[str, Any] = {
        "config/config.yaml": TINY,
        "config/experiments.yaml": {"runs": RUNS, "figures": shown},
        "config/groups.yaml": {"groups": [{"name": "first", "figures": ["fig02"]}]},
        "released.yaml": {"curves": "released"},
        "scale.yaml": {"seed": 4, "models": {"small": {"layers": 2}}, "lengths": {"pretraining": 32}},
        "pretrained.yaml": model,
    }
    for name, content in written.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with contextlib.chdir(folder):
        _train()
        _logs()
        _corpora()


def _train() -> None:
    for name in TINY["corpora"]:
        _do("documents", name)
        _do("split", name)
    _do("tokenizer")
    for name in TINY["corpora"]:
        _do("tokens", name)
    with mock.patch("cpt_dynamics.slots.bundle.kit_wheel", wheel):
        _do("campaign", "pack", "--out", "parts", "--groups", "config/groups.yaml")
    _do("campaign", "receive", "parts", "--to", "work")
    Path("seeds").mkdir()
    shutil.copy("work/tiny-bundle/bundle.json", "seeds")
    with mock.patch("cpt_dynamics.training.loop.Trainer.forget"):  # what a killed training leaves
        _do("train", "--plan")
    for name, run in (("last", "late"), ("last-of-fork", "fork")):
        manifest = json.loads(found(f"results/tiny/branches/{run}-*.json").read_text(encoding="utf-8"))
        Path(name).symlink_to(f"results/tiny/checkpoints/{manifest['checkpoint'][:20]}")
    _do("curves", *RUNS)
    recommend({"peak_lr": 0.5, "replay": 0.25, "potential": 0.5}, ROOT / "recommended/plan.json")
    for knob in ("peak_lr", "replay", "potential"):
        _do("trial-runs", "--knob", knob)
    _do("release")
    _do("export", "fork", "model")
    _do("bundle", "--results", "--out", "results.tar")
    with tempfile.TemporaryDirectory() as other:
        config = synthetic_config(Path(other))
        curves, schedules, known = synthetic(config)
        result = figures.analyse(FigureData("fig01", config, known, tables=(curves, schedules)))
    known_results = json.loads((REPOSITORY / "data/released/cpu/results.json").read_text(encoding="utf-8"))
    release(Path("other"), known_results)
    write_json("fig01.json", to_json(result))
    errors = (0.1, 0.2, -0.1, 0.3)
    score = Score("cpu", "cpu_general", "schedule", "cpt_noise", "a", 9, *errors, None, None, None, 8, None, 0.1, "")
    write_json(
        "benchmark.json", plain(board.to_json([score], board.board([score]), 1, {"cpu": "0" * 64}, 9.0, 9.0, {}))
    )
    ends = [law_fits.End("a", True, 3.0, 3.1)]
    parameters = {"L0": 2.0, "K": 0.3, "c": 9.0}
    fit = law_fits.SplitFit("cpu_general", "cpu_general", "cpt_noise", parameters, 80.0, 0.01, 90, ends)
    law_fits.write(Path("law-fits.json"), [fit], 1)


def _logs() -> None:
    for name in ("run_a.csv", "run_b.csv"):
        shutil.copy(REPOSITORY / "docs/examples" / name, name)
    for role in ("handbook", "code"):
        shift = "positive" if role == "handbook" else "negative"
        _do(*FIT, "--validation", role, "--shift", shift, "--out", f"{role}.json")
    lines = Path("run_a.csv").read_text(encoding="utf-8").splitlines()[1:40]
    rows = [line.split(",") for line in lines]
    exported = [["Step", "a - eval/loss", "a - eval/loss__MIN", "a - eval/loss__MAX", "a - lr"]]
    exported += [[step, loss, loss, loss, lr] for step, _, lr, loss, _ in rows]
    Path("wandb.csv").write_text("\n".join(map(",".join, exported)) + "\n", encoding="utf-8")
    history = [
        {"step": int(step), "eval_loss": float(loss), "learning_rate": float(lr)} for step, _, lr, loss, _ in rows
    ]
    Path("trainer_state.json").write_text(json.dumps({"log_history": history}), encoding="utf-8")
    Path("schedule.txt").write_text(PT, encoding="utf-8")


FIT = ("fit", "run_a.csv", "run_b.csv", "--lambda", "0.987", "--first-step", "200")


def _corpora() -> None:
    Path("text/lists.txt").write_text("A text.\n" * 9, encoding="utf-8")
    raw = b"".join(Path("text/lists.jsonl").read_bytes().splitlines(keepends=True)[:20])
    Path("text/few.jsonl").write_bytes(raw)
    Path("text/few.jsonl.gz").write_bytes(gzip.compress(raw))
    Path("text/few.jsonl.zst").write_bytes(zstandard.compress(raw))
    with contextlib.chdir("text"):
        shutil.make_archive("few", "zip", base_dir="few.jsonl")
        shutil.make_archive("few", "tar", base_dir="few.jsonl")
    shutil.copy("data/corpora/lists/documents.parquet", "text/few.parquet")
    Path("seeds/hub.json").write_text(
        json.dumps({"id": "a/b", "sha": COMMIT, "cardData": {"license": "mit"}, "siblings": [{"rfilename": "a.txt"}]}),
        encoding="utf-8",
    )
    with mock.patch.dict(os.environ, CPT_DYNAMICS_CACHE="cache"):
        shutil.copy("text/few.jsonl", "copy")
        place = cache.adopt("copy")
        cache.remember({"url": "https://example.org/few.jsonl"}, {"sha256": place.name, "bytes": place.stat().st_size})


def _do(*words: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert main(list(words)) == 0, (words, said.getvalue())


# --- how they are called ---------------------------------------------------------------------------------------------


def _log(name: str, validation: str = "code") -> Call:
    return lambda: of_set(logs.read_log(name), prefer=validation)


def _archive(name: str, key: str = "text") -> Call:
    return lambda: list(archives.texts(Path(name).absolute(), name, name, ["**"], 1e6, key))


def _texts(name: str) -> Call:
    return lambda: list(local.texts(Path(name), "text"))


def _text(name: str) -> str:
    return Path(name).read_bytes().decode("utf-8", "replace")


@contextlib.contextmanager
def _untrained() -> Iterator[None]:
    """Steps and validation that do nothing: what is tried is what a training reads, and they would take most time."""
    with (
        mock.patch.object(loop.Step, "__call__", return_value=None),
        mock.patch.object(loop.Step, "evaluate", lambda self, sets: torch.ones(len(sets))),
    ):
        yield


def _train_plan() -> object:
    with _untrained():
        return main(["train", "--plan"])


def _train_late() -> object:
    """Train a branch whose last checkpoint and rows are there."""
    (done,) = Path("results/tiny/branches").glob("late-*.json")
    with _untrained():
        return main(["train", "--branch", done.stem])


@functools.cache
def _opened() -> tuple[Config, Plan, branches.Opened]:
    config = load(["config/config.yaml"])
    return config, experiments.plan(experiments.load(config).runs.values(), config), {}


def _goes_on() -> None:
    """The same, with text and validation sets that were opened before."""
    config, plan, opened = _opened()
    (done,) = Path("results/tiny/branches").glob("late-*.json")
    with _untrained():
        branches.train([plan.branches[done.stem]], plan, config, opened=opened)


def _wanted() -> object:
    branches = [path.stem for path in Path("results/tiny/branches").glob("*.json")]
    with contextlib.chdir("work/tiny-bundle"):
        return work.wanted(branches)


def _export() -> object:
    return main(["export", "fork", "exported"])


def _cached(call: Callable[[], object]) -> Call:
    def run() -> object:
        with mock.patch.dict(os.environ, CPT_DYNAMICS_CACHE="cache"):
            return call()

    return run


def _hub() -> object:
    """What the Hub says of a data set; the file is its answer."""
    raw, json_ = Path("answer.json").read_bytes(), {"content-type": "application/json"}
    library: Any = importlib.import_module(type(get_session()).__module__.partition(".")[0])

    def answer(_: object, request: Any) -> Any:
        return library.Response(200, content=raw, headers=json_, request=request)

    with (
        mock.patch.object(library.HTTPTransport, "handle_request", answer),
        mock.patch("huggingface_hub.constants.HF_HUB_OFFLINE", False),
        mock.patch("time.sleep"),
    ):
        return hub.commit("a/b", "dataset"), hub.card("a/b", COMMIT)


def _anew(folder: str, *words: str) -> Call:
    """A command that finds a folder empty."""

    def run() -> object:
        shutil.rmtree(folder)
        return main(list(words))

    return run


# --- digests that are stated anew ------------------------------------------------------------------------------------


def _stated(file: str, by: str, key: str = "sha256") -> Call:
    """Write the digest of a file into the JSON that states it."""

    def state() -> None:
        of, where = found(file), found(by)
        content = json.loads(where.read_text(encoding="utf-8"))
        stated = {**content, key: sha256(of)}
        where.write_text(json.dumps(resealed(stated) if SEAL in content else stated), encoding="utf-8")

    return state


def _own(file: str) -> Call:
    """State the digest of a file of JSON in itself."""

    def state() -> None:
        where = found(file)
        where.write_text(json.dumps(resealed(json.loads(where.read_text(encoding="utf-8")))), encoding="utf-8")

    return state


def _seal() -> None:
    """State the digest of `release.json` in it."""
    path = RELEASE / "release.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "sha256": seal(content)}), encoding="utf-8")


def _sealed() -> None:
    """State the digests of the other files of the release in `release.json`."""
    sealed(RELEASE)


def _index() -> None:
    """State the sizes and digests of the parts in their index."""
    path = Path("parts/index.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    for part in [part for parts in content["archives"].values() for part in parts]:
        file = path.parent / part["name"]
        part.update(size=file.stat().st_size, sha256=sha256(file))
    path.write_text(json.dumps(content), encoding="utf-8")


# --- the table -------------------------------------------------------------------------------------------------------

FORK, LATE = "results/tiny/branches/fork-*", "results/tiny/branches/late-*"
ROWS = "results/tiny/checkpoints/late-*.rows.json"
TOKENS = "results/tiny/tokens/prose.train"
CURVES = ("curves", "fork")
RELEASED_CURVES = ("curves", "fig02", "--configfile", "released.yaml")
RECOMMEND = (
    "recommend",
    "handbook.json",
    "code.json",
    "--weight",
    "0.5",
    "--pretraining",
    PT,
    "--steps",
    "300",
    "--choose",
    "peak_lr",
    "--beyond",  # the fits of this tiny scale have seen one peak LR
)
RECEIVE = ("campaign", "receive", "parts", "--to", "work")

READERS = [
    Reader("configuration", "config/config.yaml", ("plan",)),
    Reader("scale", "scale.yaml", ("plan", "--configfile", "scale.yaml")),
    Reader("experiments", "config/experiments.yaml", ("plan",)),
    Reader("claims", "config/claims.yaml", claims.load),
    Reader("groups", "config/groups.yaml", ("train", "--plan", "--groups", "config/groups.yaml")),
    Reader("published", "data/published/multi_power.yaml", public.published),
    Reader("published-logs", "data/published/lr_scheduling.yaml", lr_scheduling.published),
    Reader("published-page", "data/published/delphi.yaml", delphi.published),
    Reader("public-log", "public/stable.json", lambda: lr_scheduling.read_log("public/stable.json", LOG_OF)),
    Reader("public-page", "public/fixed.html", lambda: delphi.read("public", "public/unchecked.yaml")),
    Reader("public-runs", "runs/curves.parquet", lambda: lr_scheduling.read("runs", "public/logs.yaml")),
    Reader("public-table", "points/curves.csv", lambda: delphi.read("points", "public/unchecked.yaml")),
    Reader("printed", "data/published/coefficients.yaml", published.load),
    Reader("expression", "schedule.txt", lambda: parse(_text("schedule.txt")).table("a")),
    Reader("log", "run_a.csv", _log("run_a.csv")),
    Reader("log-wandb", "wandb.csv", _log("wandb.csv")),
    Reader("log-trainer", "trainer_state.json", _log("trainer_state.json")),
    Reader("log-curves", "results/tiny/curves/fork.parquet", _log("results/tiny/curves/fork.parquet", "lists")),
    Reader("fit", "code.json", ("predict", "code.json", "--schedule", PT)),
    Reader("fit-of-plan", "code.json", RECOMMEND),
    Reader("result", "fig01.json", lambda: read_result("fig01.json", Result)),
    Reader("benchmark", "benchmark.json", lambda: benchmark.read(Path("benchmark.json"))),
    Reader("law-fits", "law-fits.json", lambda: law_fits.read(Path("law-fits.json"))),
    Reader(
        "results", "other/results.json", lambda: agreement.read(Path("other")), stated=lambda: sealed(Path("other"))
    ),
    Reader("curve", "results/tiny/curves/fork.parquet", lambda: table.read_runs("results/tiny/curves", ["fork"])),
    Reader(
        "schedules",
        "results/tiny/curves/fork.schedules.parquet",
        lambda: table.read_runs("results/tiny/curves", ["fork"]),
    ),
    Reader("manifest", f"{FORK}.json", CURVES),
    Reader("manifest-of-plan", f"{FORK}.json", _train_plan),
    Reader("branch", f"{FORK}.parquet", CURVES, stated=_stated(f"{FORK}.parquet", f"{FORK}.json")),
    Reader("branch-of-plan", f"{FORK}.parquet", _train_plan, stated=_stated(f"{FORK}.parquet", f"{FORK}.json")),
    Reader("rows", ROWS, _goes_on, stated=_own(ROWS)),
    Reader("checkpoint", "last/checkpoint.json", _goes_on, stated=_own("last/checkpoint.json")),
    Reader(
        "checkpoint-of-export", "last-of-fork/checkpoint.json", _export, stated=_own("last-of-fork/checkpoint.json")
    ),
    Reader(
        "weights",
        "last/state.safetensors",
        _goes_on,
        stated=_stated("last/state.safetensors", "last/checkpoint.json"),
    ),
    Reader("token-index", f"{TOKENS}.json", _train_late, stated=_own(f"{TOKENS}.json")),
    Reader("tokens", f"{TOKENS}.bin", _train_late, stated=_stated(f"{TOKENS}.bin", f"{TOKENS}.json")),
    Reader("tokenizer", "results/tiny/tokenizer.json", ("tokens", "rules")),
    Reader("documents", "data/corpora/rules/documents.parquet", ("split", "rules")),
    Reader("source", "data/corpora/rules/source.json", ("split", "rules")),
    Reader("text", "results/tiny/text/rules/validation.parquet", ("tokens", "rules")),
    Reader("split", "results/tiny/text/rules/split.json", ("tokens", "rules")),
    Reader("corpus-jsonl", "text/few.jsonl", _texts("text/few.jsonl")),
    Reader("corpus-txt", "text/lists.txt", _texts("text/lists.txt")),
    Reader("corpus-gz", "text/few.jsonl.gz", _texts("text/few.jsonl.gz")),
    Reader("corpus-zst", "text/few.jsonl.zst", _texts("text/few.jsonl.zst")),
    Reader("corpus-parquet", "text/few.parquet", _texts("text/few.parquet")),
    Reader("archive-tar", "text/few.tar", _archive("text/few.tar")),
    Reader("archive-zip", "text/few.zip", _archive("text/few.zip")),
    Reader("cache", "cache/requests/*.json", _cached(cache.entries)),
    Reader("hub", "answer.json", _hub, seed="seeds/hub.json"),
    Reader("model", "model/config.json", ("plan", "--configfile", "pretrained.yaml")),
    Reader("model-weights", "model/model.safetensors", ("plan", "--configfile", "pretrained.yaml")),
    Reader("release", f"{RELEASE}/release.json", RELEASED_CURVES, stated=_seal),
    Reader("release-plan", f"{RELEASE}/plan.json", RELEASED_CURVES, stated=_sealed),
    Reader(
        "release-manifests", f"{RELEASE}/manifests.json", ("trial-runs", "--knob", "peak_lr", *RELEASED), stated=_sealed
    ),
    Reader("release-curves", f"{RELEASE}/curves.parquet", RELEASED_CURVES, stated=_sealed),
    Reader("release-schedules", f"{RELEASE}/schedules.parquet", RELEASED_CURVES, stated=_sealed),
    Reader("bundle", "results.tar", _anew("results/tiny/branches", "unbundle", "results.tar")),
    Reader("bundle-here", "work/tiny-bundle/bundle.json", _wanted),
    Reader("index", "parts/index.json", RECEIVE),
    Reader("part", "parts/tiny-code-01.part", _anew("work/parts", *RECEIVE), stated=_index),
    Reader("received", "work/unpacked.json", RECEIVE),
    Reader("stages", "results/tiny/campaign/stages.json", ("campaign", "status", "--groups", "config/groups.yaml")),
    Reader("trials", "results/tiny/recommended/plan.json", ("trial-runs", "--knob", "peak_lr")),
]
