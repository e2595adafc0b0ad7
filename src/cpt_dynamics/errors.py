"""How a command ends early: by a message to the user, which is no fault of the kit, or by a signal."""

import os
import signal
import unicodedata

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
    """What is wrong, without the remedy after the last colon."""
    return str(error).rpartition(": ")[0] or str(error)


def lacking(error: ModuleNotFoundError) -> str | None:
    """One line on a package of an extra that is not installed; None if it is none of them."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    return f"{package} is not installed: pip install 'cpt-dynamics[{extra}]'" if extra else None


LONGEST = 1200  # characters of a line on a mistake; what a file of the user's holds may be repeated in it


def printable(text: str, limit: int = LONGEST) -> str:
    """A text of foreign origin on one line, safe to print: control characters are spelt, a long one is cut."""
    words = " ".join(text.split())
    clean = "".join(one if unicodedata.category(one)[0] != "C" else ascii(one)[1:-1] for one in words)
    return clean if len(clean) <= limit else f"{clean[: limit * 2 // 3]} ... {clean[-limit // 4 :]}"


def of_system(error: OSError) -> str | None:
    """One line on an error of the system that names a file, such as a folder that must not be written; else None."""
    if error.errno is None or error.filename is None:
        return None
    name = error.filename if isinstance(error.filename, (str, bytes)) else str(error.filename)
    return f"{os.fsdecode(name)} cannot be used ({error.strerror}): give a file or folder that can be read and written"


def one_line(error: BaseException, limit: int | None = None) -> str:
    """The words of an error, which may be several lines, on one of `limit` characters; its name if it has no words."""
    return " ".join(str(error).split())[:limit] or type(error).__name__


def leave(number: int, _: object) -> None:
    """Handler of a signal that ends the process: by an exception, so that no temporary file is left behind."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)
