"""How a command ends early: by a message to the user, which is no fault of the kit, or by a signal."""

import contextlib
import os
import re
import signal
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from cpt_dynamics.interrupt import at_once

# Package -> the extra of pyproject.toml that installs it.
EXTRAS = {
    "pyarrow": "train",  # where corpora are read; see `files` for curve tables
    "seaborn": "figures",
    "statsmodels": "figures",
    **dict.fromkeys(["accelerate", "datasets", "huggingface_hub", "safetensors"], "train"),
    **dict.fromkeys(["tokenizers", "torch", "tqdm", "transformers", "zstandard"], "train"),
    "snakemake": "workflow",
}


class UserError(Exception):
    """Bad input that one line can explain.

    The message names the file or key at fault and the remedy. The command line prints it as
    ``error: <message>`` without a traceback and exits with status 2.
    """


def cause(error: UserError) -> str:
    """What is wrong, without the remedy after the last colon, safe to print."""
    return printable(str(error).rpartition(": ")[0] or str(error))


def lacking(error: ModuleNotFoundError) -> str | None:
    """One line on a package of an extra that is not installed; None if it is none of them."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    return f"{package} is not installed: pip install 'cpt-dynamics[{extra}]'" if extra else None


LONGEST = 1200  # characters of a line on a mistake; what a file of the user's holds may be repeated in it


ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*)://[^\s'\"<>]*[^\s'\"<>:,;.)]", re.IGNORECASE)


def shown(text: str) -> str:
    """An address, or a text with addresses, without what may be a secret: user, password and query."""
    return ADDRESS.sub(lambda found: _without_secrets(found[0], found[1]), text)


def _without_secrets(address: str, scheme: str) -> str:
    try:
        parts = urlsplit(address)
        _ = parts.port  # what stands in its place may be part of a password
    except ValueError:
        return f"{scheme}://..."
    if "@" not in parts.netloc and not parts.query:
        return address
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="..." if parts.query else "").geturl()


def printable(text: str, limit: int = LONGEST) -> str:
    """A text of foreign origin on one line, safe to print: control characters are spelt, a long one is cut.

    What may be a secret in an address is left out.
    """
    words = " ".join(shown(text).split())
    clean = "".join(one if unicodedata.category(one)[0] != "C" else ascii(one)[1:-1] for one in words)
    return clean if len(clean) <= limit else f"{clean[: limit * 2 // 3]} ... {clean[-limit // 4 :]}"


def short(value: object, limit: int = 60) -> str:
    """A value of a file as it is repeated in a message: its `repr`, cut when long."""
    return printable(repr(value), limit)


@lru_cache
def is_name(text: str) -> bool:
    """Whether a text can name something that is printed: at most 255 characters, no control character, no half one."""
    return len(text) <= 255 and all(unicodedata.category(one) not in ("Cc", "Cs") for one in text)


def of_system(error: OSError) -> str | None:
    """One line on an error of the system that names a file, such as a folder that must not be written; else None."""
    if error.errno is None or error.filename is None:
        return None
    given = error.filename2 or error.filename  # of a renaming: the new name, since the old one is the kit's own
    name = given if isinstance(given, (str, bytes)) else str(given)
    return f"{os.fsdecode(name)} cannot be used ({error.strerror}): give a file or folder that can be read and written"


def one_line(error: BaseException, limit: int | None = None) -> str:
    """The words of an error, which may be several lines, on one of `limit` characters; its name if it has no words."""
    return " ".join(shown(str(error)).split())[:limit] or type(error).__name__


def leave(number: int, _: object) -> None:
    """Handler of a signal that ends the process: by an exception, so that no temporary file is left behind."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Around an import of torch: an exception from a signal would abort the process within its C++ code."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
