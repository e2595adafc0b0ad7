"""A figure of one's own that lies in an installed package, named by an entry point."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpt_dynamics import claims, figures
from cpt_dynamics.claims.paths import check
from cpt_dynamics.errors import UserError

EXAMPLE = Path(__file__).parents[1] / "docs/examples/own/gains"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The figure `gains` of the pages as the package `own_gains`."""
    package = tmp_path / "own_gains"
    shutil.copytree(EXAMPLE, package)
    for file in package.glob("*.py"):
        file.write_text(file.read_text().replace("cpt_dynamics.figures.gains", "own_gains"))
    about = tmp_path / "own_gains-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-gains\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{figures.GROUP}]\ngains = own_gains\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    figures._packages.cache_clear()
    yield
    for name in [name for name in sys.modules if name.startswith("own_gains")]:
        del sys.modules[name]
    figures._packages.cache_clear()


def test_a_figure_of_another_package_is_one_like_the_others(installed: None) -> None:
    assert figures.names()[-1] == "gains"
    kind = figures.result_type("gains")
    assert kind.FIGURE == "gains"
    check(kind, "gains.changes.*.after", statement=False, where="here")
    with pytest.raises(UserError, match=r"here: 'gains.changed'"):
        check(kind, "gains.changed", statement=False, where="here")


def test_without_the_package_there_is_no_such_figure() -> None:
    assert "gains" not in figures.names()
    with pytest.raises(UserError, match="there is no figure 'gains'"):
        figures.package("gains")
    assert "gains" not in claims.load().figures
