"""Text in files or archives at fixed addresses."""

from collections.abc import Iterator
from typing import Any

from cpt_dynamics.config import Http


def read(spec: Http, record: dict[str, Any]) -> Iterator[str]:
    raise NotImplementedError
