"""Files of branches that are done, without training them."""

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.experiments import Branch
from cpt_dynamics.experiments.branches import measured_steps
from cpt_dynamics.files import read_json, sha256, write_json, write_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout


def rows(branch: Branch, config: Config, loss: float = 2.0) -> pd.DataFrame:
    """A table with every loss that the plan has of a branch, all the same."""
    run = branch.run
    measured = [(step, name) for name, steps in measured_steps(branch, config).items() for step in steps]
    table = pd.DataFrame(sorted(measured), columns=["step", "validation"])
    lr = [float(run.lr[step - 1]) for step in table["step"]]
    tokens = [run.tokens(step) for step in table["step"]]
    return table.assign(lr=lr, tokens=tokens, loss=loss, bits_per_byte=1.0)


def manifest(branch: Branch, config: Config) -> dict[str, object]:
    """What is stated of a branch that is trained from the text that is here, but for the digest of its losses."""
    read = dict.fromkeys([*config.trained(), *branch.run.corpora])
    return {
        "branch": branch.id,
        "parameters": 1000,
        "text": {name: read_json(Layout(config).tokens(name, "train").with_suffix(".json"))["sha256"] for name in read},
        "weights": None,
        "steps_trained": branch.steps,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "wall_seconds": 60.0,
        "tokens_per_second": 10.0,
        "numerics": {"device": "cpu"},
    }


def pretend_done(branch: Branch, config: Config, loss: float = 2.0, **stated: object) -> None:
    """Files of a finished branch, whose manifest has some keys as `stated`."""
    path = Layout(config).branch(branch.id)
    write_table(path, rows(branch, config, loss), BRANCH_SCHEMA)
    write_json(path.with_suffix(".json"), {**manifest(branch, config), "sha256": sha256(path), **stated})
