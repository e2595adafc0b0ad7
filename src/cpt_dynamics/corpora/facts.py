"""What is known of a corpus whose text is tokenised: where it is from, how it was split, how many tokens it has."""

from pathlib import Path
from typing import Any

from cpt_dynamics.config import Config
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout


def paths(name: str, config: Config) -> dict[str, Path]:
    """The files that say it: of source, split, near-duplicates, and of the tokens to train and to validate on."""
    layout = Layout(config)
    return {
        "source": layout.documents(name) / "source.json",
        "split": layout.text(name) / "split.json",
        "near_duplicates": layout.near_duplicates(name),
        "train": layout.tokens(name, "train").with_suffix(".json"),
        "validation": layout.tokens(name, "validation").with_suffix(".json"),
    }


def facts(name: str, config: Config) -> dict[str, Any]:
    """What these files say, by the same keys; one that is missing raises `UserError`.

    Near-duplicates may be missing, since results of former versions have none, and go without the list of matches.
    """
    files = paths(name, config)
    known = {key: read_json(path) for key, path in files.items() if key != "near_duplicates"}
    if files["near_duplicates"].exists():
        found = read_json(files["near_duplicates"])
        known["near_duplicates"] = {key: value for key, value in found.items() if key != "matches"}
    return known
