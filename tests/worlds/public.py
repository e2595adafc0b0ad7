"""Small files of the same form as the public sets have them, the facts about them, and a server that holds them."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cpt_dynamics.curves.public import delphi, lr_scheduling
from worlds import REPOSITORY

LOGS = {"5e-4-constant-1k": "stable.json", "5e-4-wsd-linear-0.4-1000": "branch.json", "1e-3-cos10-1000": "cosine.json"}
ID, OTHER = "delphi-3e18-p33m67-k0p20-lr33-a003", "delphi-3e18-p67m33-k0p20-lr83-a001"
LOSSES = {ID: {0: "2.5", 200: "1.9", 7399: "1.46"}, OTHER: {0: "2.50", 200: "1.95"}}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server on this machine that holds a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def log(run: str) -> dict[str, Any]:
    """A log as the public ones are: LRs every 50 steps, losses every 200, one of them twice, as after a resumption."""
    rates = lr_scheduling.lr(run)
    first = 600 if "wsd" in run else 0
    steps = [*range(first, 1000, 200), 800]
    losses = [*(3 + 2 / (1 + step / 100) for step in steps[:-1]), 9.0]
    at = list(range(first + 50, 1001, 50))
    return {
        "summary": {"iter": 1000},
        "config": {"lr": float(run[:4]), "iterations": 1000, "warmup_steps": 300, "scheduler": "cos"},
        "name": run,
        "history": {
            "final-val": {"iter": [1000], "final_val_loss": [2.9]},
            "val": {"iter": steps, "val_loss": losses, "val_perplexity": list(np.exp(losses))},
            "train": {"iter": at, "train_lr": [*rates[at[:-1]].tolist(), 0], "train_loss": [3.0] * len(at)},
        },
    }


def rows_of(run: str) -> list[tuple[int, float]]:
    """What is to be read of `log(run)`."""
    steps = (800,) if "wsd" in run else (0, 200, 400, 600, 800)
    return [(step, 3 + 2 / (1 + step / 100)) for step in steps]


def digest(rows: list[tuple[Any, Any]]) -> str:
    return hashlib.sha256("\n".join(f"{step},{loss}" for step, loss in rows).encode()).hexdigest()


def write_logs(folder: Path) -> Path:
    """The logs, under the names of their public home."""
    folder.mkdir(parents=True, exist_ok=True)
    for run, name in LOGS.items():
        (folder / name).write_text(json.dumps(log(run)))
    return folder


def lr_scheduling_facts(path: Path, address: str = "", **changes: Any) -> Path:
    """The published facts, about the small logs."""
    raw = yaml.safe_load((REPOSITORY / lr_scheduling.PUBLISHED).read_text(encoding="utf-8"))
    raw["runs"] = {run: {"file": name, "sha256": digest(rows_of(run))} for run, name in LOGS.items()}
    raw["address"] = f"{address}/{{file}}"
    path.write_text(json.dumps(raw | changes), encoding="utf-8")  # which is YAML, too
    return path


def page(losses: dict[str, dict[int, str]] | None = None) -> str:
    """A page as the public one is; losses by run and step stand in it as they are given."""
    points = [
        f'{{"run_id":"{run}","run_name":"{run}","scale":"3e18","mix":"{run.split("-")[2]}","lr":"33",'
        f'"eval_split":"small_cv","step":{step},"final_step":7399,"tau":{step / 7399:.6g},"value":{loss}}}'
        for run, rows in (LOSSES if losses is None else losses).items()
        for step, loss in rows.items()
    ]
    payload = f'{{"points":[{",".join(points)}],"fits":[{{"run_id":"x","mae":0.1}}]}}'
    script = "<script>const payload = document.getElementById('payload');</script>"
    return (
        f'<!doctype html>\n<html><body><script id="payload" type="application/json">{payload}</script>{script}</body>\n'
    )


def delphi_facts(path: Path, address: str = "", **changes: Any) -> Path:
    """The published facts, with the digest of the first run of the small page."""
    raw = yaml.safe_load((REPOSITORY / delphi.PUBLISHED).read_text(encoding="utf-8"))
    raw["runs"] = {ID: digest(list(LOSSES[ID].items()))}
    raw["address"] = f"{address}/{{file}}"
    path.write_text(json.dumps(raw | changes), encoding="utf-8")  # which is YAML, too
    return path
