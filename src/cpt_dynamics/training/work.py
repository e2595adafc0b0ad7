"""The work that an unpacked bundle asks of the machine it lies on."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import sha256

CONTENTS = Path("bundle.json")  # in the folder of a bundle, which is the working folder after unpacking
NOT_TRAINED_FROM = ("wheels/", "README.md", "requirements.lock")


class Member(BaseModel):
    """A file of a bundle."""

    path: str
    size: int
    sha256: str


class Contents(BaseModel):
    """`bundle.json`: what a bundle is for, and every other file in it.

    work: branches to train, each with the reason; branches: those whose results it holds; instances: those that were
    trained again since others start from them; records: what is known of a training besides its manifest.
    """

    version: Literal[1] = 1
    kit: str
    kind: Literal["work", "results"]
    scale: str
    work: dict[str, Literal["new", "again"]] = {}
    branches: list[str] = []
    instances: list[str] = []
    records: dict[str, dict[str, Any]] = {}
    members: list[Member] = []

    @classmethod
    def parse(cls, text: bytes, name: str) -> "Contents":
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reason = f"{name}: {CONTENTS} is damaged or of another version of the kit ({where}: {first['msg']})"
            raise UserError(f"{reason}: pack it again") from None


def here() -> Contents | None:
    """What the bundle unpacked in the working folder states; None where there is none."""
    return Contents.parse(CONTENTS.read_bytes(), "this folder") if CONTENTS.exists() else None


def wanted(branches: Iterable[str]) -> set[str]:
    """Those of the branches that the bundle in the working folder asks for; all of them where there is none.

    A file of the bundle that is trained from and is not as it was packed raises `UserError`.
    """
    contents = here()
    if contents is None:
        return set(branches)
    for member in contents.members:
        # Losses measured so far change while the branch goes on.
        if not member.path.startswith(NOT_TRAINED_FROM) and not member.path.endswith(".rows.json"):
            _check(member)
    known = set(branches)
    if foreign := [name for name in contents.work if name not in known]:
        raise UserError(f"{CONTENTS} asks for {foreign[0]}, which is no branch of the configuration: unpack it again")
    return known & contents.work.keys()


def _check(member: Member) -> None:
    path = Path(member.path)
    if not path.exists() and "checkpoints" in path.parts:
        return  # deleted to make room: what starts from it starts earlier
    if not path.is_file() or path.stat().st_size != member.size or sha256(path) != member.sha256:
        raise UserError(f"{path} is not as it was packed: unpack the bundle again, and check the sha256 of its file")
