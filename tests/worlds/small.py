"""A small scale whose curves are made from Eq. 4."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import config as configs
from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import runs as experiments_
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.laws import get
from worlds.curves import curves_of

EXPERIMENTS = """
runs:
  pt_constant: {phases: [&pt {phase: pretraining, data: {general: 1}, steps: pretraining}]}
  hidden_constant:
    {after: pt_constant, phases: [&on {<<: *pt, steps: continual, schedule: &last {peak: last}}]}
  scratch_constant: {phases: [{<<: *pt, data: &strong {strong: 1}, steps: total}]}
  cpt_constant:
    {after: pt_constant, phases: [&cpt {phase: continual, data: *strong, steps: continual, schedule: *last}]}
  transfer_1: {after: pt_constant, at: 1/6 * total, phases: [*cpt]}
  transfer_2: {after: pt_constant, at: 2/6 * total, phases: [*cpt]}
  transfer_3: {after: pt_constant, at: 3/6 * total, phases: [*cpt]}
  pt_wsd: {phases: [{<<: *pt, schedule: &wsd {shape: wsd, end: 0.1}}]}
  hidden_wsd: {after: pt_wsd, phases: [{<<: *on, schedule: *wsd}]}
  pt_wsd_scratch: {phases: [{<<: *pt, data: *strong, schedule: *wsd}]}
  scratch_wsd: {after: pt_wsd_scratch, phases: [{<<: *on, data: *strong, schedule: *wsd}]}
  cpt_wsd: {after: pt_wsd, phases: [{<<: *cpt, schedule: *wsd}]}
  pt_cosine: {phases: [{<<: *pt, schedule: &cosine {shape: cosine, end: 0.1}}]}
  cpt_cosine: {after: pt_cosine, phases: [{<<: *cpt, schedule: *cosine}]}
  pt_wsd_half: {phases: [{<<: *pt, schedule: {shape: wsd, end: 0.5}}]}
  cpt_linear: {after: pt_wsd_half, phases: [{<<: *cpt, schedule: {shape: linear, peak: last}}]}
  pt_wsd_zero: {phases: [{<<: *pt, schedule: {shape: wsd, end: 0.0}}]}
  cpt_rewarm_cosine: {after: pt_wsd_zero, phases: [{<<: *cpt, schedule: {shape: cosine, peak: 0.1}}]}
figures:
  fig01:
    title: Loss curves
    runs: [hidden_constant, scratch_constant, cpt_constant, hidden_wsd, scratch_wsd, cpt_wsd]
  fig02: {title: Shift, runs: [hidden_constant, scratch_constant, transfer_1, transfer_2, transfer_3]}
  fig03: &fits
    title: Fits
    runs: [cpt_wsd, cpt_cosine, cpt_constant]
    heldout: [cpt_linear, cpt_rewarm_cosine]
  fig10: *fits
  lambda: *fits
"""

TRUE = {
    "general": {"L0": 2.9, "A": 1.1, "alpha": 0.6, "C1": 0.25, "C2": 0.3, "B": 0.4, "E": 8.0, "beta": 0.3},
    "strong": {"L0": 2.4, "A": 1.4, "alpha": 0.5, "C1": 0.2, "C2": 0.3, "B": -0.9, "E": 60.0, "beta": 0.25},
}
SCRATCH = {
    "general": {**TRUE["general"], "L0": 3.5, "B": 0.0},
    "strong": {**TRUE["strong"], "L0": 1.5, "B": 0.0},
}


def synthetic_config(folder: Path, experiments: str = EXPERIMENTS, **law: Any) -> Config:
    """A small scale whose experiments lie in `folder`."""
    path = folder / "experiments.yaml"
    path.write_text(experiments)
    raw = {
        "scale": "synthetic",
        "experiments": str(path),
        "corpora": {name: {"source": "rule"} for name in ("docs", "code", "maths")},
        "roles": {"general": "docs", "strong": "code", "weak": "maths"},
        "models": {"small": {"layers": 2, "width": 64, "heads": 4, "feedforward": 176}},
        "optimizer": {"peak_lr": 0.003},
        "batch": {"sequences": 32, "length": 64},
        "lengths": {"pretraining": 1200, "continual": 600, "warmup": 60, "rewarmup": 30},
        "evaluation": {"tokens": 32768, "out_of_domain_tokens": 8192, "every": 40, "dense": 64},
        "law": {"lambda": 0.98, "first_step": 100, **law},
    }
    return configs.parse(raw, "synthetic")


def synthetic(config: Config, noise: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame, Experiments]:
    """Curves and schedules of all runs from the law `TRUE`; noise (nats) is the same in shared steps."""
    experiments = experiments_.load(config)
    curves, schedules = curves_of(
        experiments.runs.values(),
        steps,
        lambda run: loss(run, config),
        {"small": 100_000},
        2048.0,
        noise,
        lambda _, phase: f"{phase.mixture}",
    )
    return curves, schedules, experiments


def steps(run: Run) -> np.ndarray:
    """The steps with a loss: every 40th, the last, and powers of two after each change of phase."""
    starts = [0, *(first - 1 for first, _ in run.stretches), *(300, 600, 900)]
    dense = np.concatenate([start + 2 ** np.arange(7) for start in starts])
    kept = np.concatenate([dense, np.arange(40, run.steps + 1, 40), [run.steps]])
    return kept[kept <= run.steps]


def loss(run: Run, config: Config) -> dict[str, np.ndarray]:
    """Corpus -> loss of a run after every step, by Eq. 4."""
    found = asdict(areas(run.lr, run.transfer_step, config.law.lambda_))
    laws = SCRATCH if run.phases[0].mixture[0][0] == "code" else TRUE
    return {config.corpus_of(role): np.asarray(get("cpt").predict(laws[role], found)) for role in TRUE}
