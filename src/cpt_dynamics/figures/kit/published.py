"""The coefficients that the paper prints, for comparison (arXiv 2505.07796v2)."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cpt_dynamics.config import read_yaml
from cpt_dynamics.errors import UserError

PUBLISHED = Path("data/published/coefficients.yaml")


class Printed(BaseModel):
    """A printed equation. `r2` where printed; a coefficient that is not printed is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figure: str
    setting: str
    role: Literal["general", "strong"]
    validation: str
    parameters: dict[str, float | None]
    law: str = ""
    form: Literal["", "power", "exponential"] = ""  # of a fit of the shift term alone
    argument: Literal["", "t", "s"] = ""
    r2: float | None = None
    note: str = ""


def read(path: str | Path = PUBLISHED) -> dict[str, Any]:
    """The whole file, for what is not an equation (`table2`, `out_of_domain`, `settings`)."""
    return read_yaml(path)


class QualityOfForm(BaseModel):
    """A row of the paper's Table 2: Huber sum and R2 of Eq. 4 or a variant of its annealing area."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    law: str
    variant: str
    role: Literal["general", "strong"]
    huber: float
    r2: float


def table2(role: str, variant: str = "original", path: str | Path = PUBLISHED) -> QualityOfForm:
    """One row of Table 2."""
    rows = [QualityOfForm.model_validate(row) for row in read(path)["table2"]]
    return next(row for row in rows if (row.role, row.variant) == (role, variant))


def load(path: str | Path = PUBLISHED) -> list[Printed]:
    """All printed equations: the joint fits and the fits of the shift term."""
    raw = read(path)
    try:
        return [Printed.model_validate(item) for key in ("fits", "shifts") for item in raw[key]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} has no list {error}: restore the file") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def find(figure: str, role: str, form: str = "", path: str | Path = PUBLISHED) -> Printed:
    """The first equation of a figure for the role "general" or "strong" (and the form of a shift)."""
    for item in load(path):
        if (item.figure, item.role, item.form) == (figure, role, form):
            return item
    raise UserError(f"{path} has no equation of {figure} for {role!r}: add it")
