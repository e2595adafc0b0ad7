"""results.json of a benchmark, read and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cpt_dynamics import files
from cpt_dynamics.errors import UserError
from cpt_dynamics.leaderboard.scores import Score
from cpt_dynamics.leaderboard.splits import Splits

REMEDY = "`cpt-dynamics benchmark --out` writes it"


@dataclass(frozen=True)
class Results:
    """What `board.to_json` writes, without its board, which is made of the scores."""

    schema: Literal["cpt-dynamics/benchmark/1"]
    kit: str
    splits: int
    sha256: dict[str, str]
    seconds: float
    cpu_seconds: float
    scores: list[Score]

    @property
    def sets(self) -> list[str]:
        return list(dict.fromkeys(one.set for one in self.scores))


def read(path: Path) -> Results:
    """`UserError` names the file and the key."""
    if not path.exists():
        raise UserError(f"{path} does not exist: {REMEDY}")
    found = files.read_model(Results, path, REMEDY)
    if not found.scores:
        raise UserError(f"{path} has no scores: {REMEDY}")
    return found


def check_version(found: Results, path: Path, splits: Splits) -> None:
    """Raise `UserError` for results of other splits."""
    if found.splits != splits.version:
        raise UserError(f"{path} is of splits of version {found.splits}, not {splits.version}: {REMEDY}")
