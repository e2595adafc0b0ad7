"""The work that an unpacked bundle asks of the machine it lies on, as its `bundle.json` states it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from cpt_dynamics.config import Name
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import Inside, sha256

CONTENTS = Path("bundle.json")  # in the folder of a bundle, which is the working folder after unpacking
NOT_TRAINED_FROM = ("wheels/", "README.md", "requirements.lock")

Why = Literal["new", "again"]  # a branch is trained there: it is not done here, or it is but others start from it
Records = dict[str, dict[str, Any]]  # branch -> what is known of its training
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(TypedDict, total=False):
    """What is known of the training of a branch besides its manifest."""

    stage: int
    device_seconds: Seconds


class Stated(BaseModel):
    """Size and digest of a file that travels."""

    size: int
    sha256: str

    def fits(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_size == self.size and sha256(path) == self.sha256


class Member(Stated):
    """A file of a bundle."""

    path: Inside


class Contents(BaseModel):
    """`bundle.json`.

    work: branches to train, each with the reason; branches: those whose results it holds; instances: those that were
    trained again since others start from them; records: what is known of a training besides its manifest.
    """

    version: Literal[1] = 1
    kit: str
    kind: Literal["work", "results"]
    scale: Name
    work: dict[str, Why] = {}
    branches: list[str] = []
    instances: list[str] = []
    records: Annotated[Records, AfterValidator(TypeAdapter(dict[str, Record]).validate_python)] = {}
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

    def of(self, files: Mapping[str, Path]) -> "Contents":
        """The same with these members (path in the bundle -> file)."""
        members = [Member(path=p, size=file.stat().st_size, sha256=sha256(file)) for p, file in sorted(files.items())]
        return self.model_copy(update={"members": members})

    def text(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


# --- the bundle in the working folder ----------------------------------------------------------------------------


def here() -> Contents | None:
    """What the bundle unpacked in the working folder states; None where there is none."""
    return Contents.parse(CONTENTS.read_bytes(), "this folder") if CONTENTS.exists() else None


def trained_again() -> set[str]:
    """Branches that the bundle in the working folder trains although they are done at home."""
    contents = here()
    return {name for name, why in contents.work.items() if why == "again"} if contents else set()


def wanted(branches: Iterable[str]) -> set[str]:
    """Those of the branches that the bundle in the working folder asks for; all of them where there is none.

    A file of the bundle that is trained from and is not as it was packed raises `UserError`.
    """
    known, contents = set(branches), here()
    if contents is None:
        return known
    for member in contents.members:
        path = Path(member.path)
        # Losses measured so far change while the branch goes on; checkpoints may be deleted to make room.
        changes = member.path.startswith(NOT_TRAINED_FROM) or member.path.endswith(".rows.json")
        deleted = "checkpoints" in path.parts and not path.exists()
        if not (changes or deleted or member.fits(path)):
            raise UserError(
                f"{path} is not as it was packed: unpack the bundle again, and check the sha256 of its file"
            )
    if foreign := [name for name in contents.work if name not in known]:
        raise UserError(f"{CONTENTS} asks for {foreign[0]}, which is no branch of the configuration: unpack it again")
    return known & contents.work.keys()
