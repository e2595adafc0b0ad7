"""data/benchmark/splits.yaml: which runs are fitted and which are predicted, frozen under a version."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from cpt_dynamics.areas import Warmup
from cpt_dynamics.config import Name, Section, explain, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Shift

SPLITS = Path("data/benchmark/splits.yaml")
OF = "{of}"

Kind = Literal["schedule", "peak LR"]
Runs = Annotated[list[str], Field(min_length=1)]


class Split(Section):
    """Some runs of a set that are fitted, and others that are predicted."""

    set: Name = Field(description="where the curves are from")
    kind: Kind = Field(description="what is unlike the fitted runs in those predicted")
    of: list[str] = Field([], description="what `{of}` stands for in the runs: a split for each")
    fit: Runs = Field(description="runs that are fitted")
    test: Runs = Field(description="runs that are predicted, where no fitted run has their rows")
    validation: str = Field(
        "", description="the validation set, where the curves have several; a role of the kit's own"
    )
    shift: Shift = Field("free", description="sign of the shift's size B")
    phase: Literal["pretraining", "continual"] | None = Field(None, description="test only rows of this phase")
    first_step: int = Field(1, ge=1, description="rows of pre-training before it are left out")
    warmup: Warmup = Field("peak", description="how the warm-up counts")

    @model_validator(mode="after")
    def _apart(self) -> "Split":
        if both := set(self.fit) & set(self.test):
            raise ValueError(f"{min(both)!r} is fitted and predicted: leave it out of one")
        if bool(self.of) != any(OF in run for run in (*self.fit, *self.test)):
            raise ValueError(f"give `of` and name runs with {OF}, or neither")
        return self


class Splits(Section):
    version: int = Field(ge=1, description="raised with every change of a split, so that results say which they are of")
    splits: dict[Name, Split] = Field(min_length=1, description="name -> split")

    def each(self) -> dict[str, Split]:
        """Every split by its name, those of `of` one by one (`delphi_inside/3e18-p33m67`)."""
        found = {}
        for name, split in self.splits.items():
            for one in split.of or [""]:
                runs = {part: [run.replace(OF, one) for run in getattr(split, part)] for part in ("fit", "test")}
                found[f"{name}/{one}" if one else name] = split.model_copy(update={**runs, "of": []})
        return found


def name_of(split: str) -> str:
    """`delphi_inside` of `delphi_inside/3e18/p33m67`."""
    return split.partition("/")[0]


def load(path: Path = SPLITS) -> Splits:
    """Read and check the splits; `UserError` names the file and the key."""
    try:
        return Splits.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError("; ".join(explain(e, str(path)) for e in error.errors()[:3])) from None
