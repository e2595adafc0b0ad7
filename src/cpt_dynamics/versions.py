"""What a result was made with."""

import importlib.metadata
import os
import platform
from functools import cache
from typing import Any

from cpt_dynamics import __version__

PACKAGES = [
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "snakemake",
]


def versions() -> dict[str, Any]:
    """Versions of the kit, of Python and of the packages that results depend on."""
    found: dict[str, Any] = {"cpt_dynamics": __version__, "python": platform.python_version()}
    return found | {name: _version(name) for name in PACKAGES}


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """The hardware, as the operating system names it."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
