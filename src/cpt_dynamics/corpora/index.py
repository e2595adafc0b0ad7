"""The index of a token file, which lies beside it and states what it holds."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import fitting, is_sealed, read_json


class Index(BaseModel):
    """What a token file holds.

    count : tokens
    bytes : of the text, UTF-8
    token_bytes : sum of the lengths of the tokens, the same unless the tokenizer changes the text
    """

    model_config = ConfigDict(strict=True)

    version: Literal[1]
    dtype: Literal["<u2", "<u4"]
    count: int = Field(ge=0)
    documents: int = Field(ge=0)
    bytes: int = Field(ge=0)
    token_bytes: int = Field(ge=0)
    vocabulary: int = Field(ge=1)
    separator: int = Field(ge=0)
    sha256: str
    tokenizer_sha256: str


def read(tokens: Path) -> Index:
    """The index of a token file; one that is missing, damaged or none raises `UserError`."""
    path = tokens.with_suffix(".json")
    raw = read_json(path)
    if not is_sealed(raw):
        raise UserError(f"{path} is not what was written: delete it and {tokens.name}, make them again")
    return fitting(Index, raw, path)
