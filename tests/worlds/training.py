"""Plans, losses and copies of a small scale that is trained."""

import shutil

import pandas as pd

from cpt_dynamics import experiments
from cpt_dynamics.config import Config
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.layout import Layout


def planned(config: Config, only: list[str] | None = None) -> tuple[dict[str, Run], Plan]:
    runs = experiments.load(config).runs
    chosen = {name: run for name, run in runs.items() if only is None or name in only}
    return chosen, experiments.plan(chosen.values(), config)


def losses(config: Config, plan: Plan, run: Run) -> pd.DataFrame:
    table, _ = assemble([run], plan, Layout(config))
    return table[["step", "validation", "loss"]].reset_index(drop=True)


def elsewhere(config: Config, folder: str) -> Config:
    """The same configuration with results of its own, and the text of the other."""
    other = config.model_copy(update={"results": folder})
    for part in ("tokens", "tokenizer.json"):
        source, target = Layout(config).root / part, Layout(other).root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return other
