"""What is known of a corpus whose text is tokenised: where it is from, how it was split, how many tokens it has."""

from pathlib import Path
from typing import Any

from cpt_dynamics.config import Config
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout


def paths(name: str, config: Config) -> dict[str, Path]:
    """The files that say it: of the source, of the split, of the tokens to train and to validate on."""
    layout = Layout(config)
    return {
        "source": layout.documents(name) / "source.json",
        "split": layout.text(name) / "split.json",
        "train": layout.tokens(name, "train").with_suffix(".json"),
        "validation": layout.tokens(name, "validation").with_suffix(".json"),
    }


def facts(name: str, config: Config) -> dict[str, Any]:
    """What these files say, by the same keys; one that is missing raises `UserError`."""
    return {key: read_json(path) for key, path in paths(name, config).items()}
