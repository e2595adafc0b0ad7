"""One command a call on the other machine: packages are installed, parts taken, and stages trained as time allows."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worlds.bundles import planned, wheel
from worlds.campaign import away, two_stages
from worlds.tiny import TINY

from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.files import read_json, sha256, write_json
from cpt_dynamics.slots import bundle, campaign, parts, slot

ECHO = "import os, sys; print(sys.argv[1:]); print(os.environ['PYTHONPATH'].split(os.pathsep)[0]); sys.exit(5)"


def small_wheel(path: Path, name: str, files: dict[str, str]) -> Path:
    """A package that pip installs."""
    metadata = f"{name}-1.0.dist-info"
    path.mkdir(parents=True, exist_ok=True)
    path /= f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for inside, text in files.items():
            made.writestr(inside, text)
        made.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        made.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{metadata}/RECORD", "")
    return path


@pytest.fixture
def came(tmp_path: Path) -> Path:
    """A folder with slot.py, an index and a kit that says how it was called."""
    folder = tmp_path / "came"
    kit = {"cpt_dynamics/__init__.py": "", "cpt_dynamics/__main__.py": ECHO}
    made = [small_wheel(folder / "wheels", "cpt_dynamics", kit), small_wheel(folder / "wheels", "other", {"o.py": ""})]
    write_index(folder, made)
    shutil.copy(parts.SLOT, folder)
    return folder


def write_index(folder: Path, wheels: list[Path]) -> None:
    stated = [{"name": f"wheels/{p.name}", "size": p.stat().st_size, "sha256": sha256(p)} for p in wheels]
    write_json(folder / "index.json", {"wheels": stated})


def call(came: Path, work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(came / "slot.py"), "--work", str(work), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=came.parent)


def test_packages_are_installed_once_and_the_kit_takes_over(came: Path, tmp_path: Path) -> None:
    work = tmp_path / "new/work"
    done = call(came, work, "--out", "out", "next", "--processes", "3", "--minutes", "5")
    assert done.returncode == 5, done.stderr
    said, path = done.stdout.splitlines()
    assert path == str(work / "packages")
    options = json.loads(said.replace("'", '"'))
    assert options[:6] == ["campaign", "run", "--out", "out", "next", "--processes"]
    given = dict(zip(options[7::2], options[8::2], strict=True))
    assert (given["--parts"], given["--work"]) == (str(came), str(work))
    assert 4 < float(given["--minutes"]) < 5  # what installation took is no longer there
    assert sorted(path.name for path in work.iterdir()) == ["packages"]
    installed = (work / "packages/o.py").stat().st_mtime_ns
    # The next call brings neither wheels nor, once parts were received, an index.
    shutil.rmtree(came / "wheels")
    assert call(came, work).returncode == 5
    shutil.move(came / "index.json", work / "index.json")
    assert call(came, work).returncode == 5
    assert (work / "packages/o.py").stat().st_mtime_ns == installed


def refused(came: Path, work: Path) -> str:
    done = call(came, work)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_is_missing_or_damaged_is_said_in_one_line(came: Path, tmp_path: Path) -> None:
    work, index = tmp_path / "work", came / "index.json"
    stated = index.read_bytes()
    index.unlink()
    assert "has no index.json: send it with the first part" in refused(came, work)
    for damaged in (b"", b"[]", stated[:-40]):
        index.write_bytes(damaged)
        assert f"{index} is damaged: send it again" in refused(came, work)
    index.write_bytes(stated)
    path = came / "wheels/other-1.0-py3-none-any.whl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert f"{path} came over damaged" in refused(came, work)
    path.unlink()
    assert f"{path} is missing: send the wheels with the first part" in refused(came, work)
    path.write_bytes(b"no wheel")
    write_index(came, [path])
    assert "pip cannot install the wheels" in refused(came, work)
    assert not (work / "packages").exists()
    path.write_bytes(whole)
    write_index(came, [path])
    assert slot.install(came, work) == work / "packages"
    # Another set of packages takes the place of the former.
    small_wheel(came / "wheels", "other", {"p.py": ""})
    write_index(came, [path])
    slot.install(came, work)
    assert sorted(p.name for p in (work / "packages").glob("*.py")) == ["p.py"]


@pytest.mark.slow
def test_a_full_disk_is_said_and_leaves_nothing(came: Path, small_disk: Path) -> None:
    big = small_wheel(came / "wheels", "big", {f"big/{n}.py": "x = 1\n" * 20_000 for n in range(12)})
    write_index(came, [big])
    assert "No space left on device" in refused(came, small_disk / "work")
    assert [path.name for path in (small_disk / "work").iterdir()] == []


# --- the kit's side ------------------------------------------------------------------------------------------------


def run(work: Path, out: Path, *options: str) -> int:
    return main(["campaign", "run", "--work", str(work), "--out", str(out), *options])


def test_a_call_takes_what_came_and_trains_when_nothing_is_missing(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
    capsys: Any,
) -> None:
    limit = str(30_000 / 2**20)
    minutes = str(two_stages(home, monkeypatch))
    assert main(["campaign", "pack", "--out", str(tmp_path / "p"), "--limit-mib", limit, "--minutes", minutes]) == 0
    assert (tmp_path / "p/slot.py").read_bytes() == parts.SLOT.read_bytes()
    names = [part.name for part in parts.Index.read(tmp_path / "p/index.json").parts]
    assert len(names) > 2
    work, out, came = tmp_path / "work", tmp_path / "out", tmp_path / "arrived"
    came.mkdir()
    shutil.copy(tmp_path / "p/index.json", came)
    for number, name in enumerate(names):
        shutil.copy(tmp_path / "p" / name, came)
        capsys.readouterr()
        stages = ["next"] if number else []
        assert run(work, out, *stages, "--parts", str(came)) == 0
        said = capsys.readouterr().out
        (came / name).unlink()
        if name != names[-1]:
            assert said == f"still missing: {', '.join(names[number + 1 :])}\n"
    # Both stages had time in this call.
    assert "stage 1: 3 branches done, 0 left" in said
    assert "stage 2: 2 branches done, 0 left" in said
    assert run(work, out, "next", "--parts", str(came)) == 0
    assert "all stages are done" in capsys.readouterr().out
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    assert "5 of 5 are done" in capsys.readouterr().out


def test_later_stages_begin_only_what_ends_in_time(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
    capsys: Any,
) -> None:
    work, out = away(home, tmp_path, two_stages(home, monkeypatch)), tmp_path / "out"
    capsys.readouterr()
    assert run(work, out) == 0
    assert "stages that are left: 1, 2\n" in capsys.readouterr().out
    assert run(work, out, "next", "--minutes", "0.1") == 0  # a branch is expected to take ten seconds
    said = capsys.readouterr().out
    assert "stage 1: 1 branches done, 2 left" in said
    assert "stage 2" not in said
    assert "the time is over" in said
    assert run(work, out, "2", "1", "--minutes", "0.6") == 0
    said = capsys.readouterr().out
    assert said.index("stage 2: 2 branches done, 0 left") < said.index("stage 1: 3 branches done, 0 left")
    # What did not come home is packed again, and nothing is trained.
    write_json(tmp_path / "none.json", {"branches": []})
    assert run(work, tmp_path / "again", "next", "--done", str(tmp_path / "none.json")) == 0
    assert [path.name for path in sorted((tmp_path / "again").iterdir())] == [p.name for p in sorted(out.iterdir())]
    # What is home is not among those that are left.
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    shutil.rmtree(work / "tiny-bundle/results/tiny/branches")
    capsys.readouterr()
    assert run(work, out, "next", "--done", str(campaign.ledger_path(planned()[0]))) == 0
    assert "all stages are done" in capsys.readouterr().out
    for wrong in ("next 1", "1 next", "first"):
        assert run(work, out, *wrong.split()) == 2
        assert "give numbers, or `next` alone" in capsys.readouterr().err
    write_json(tmp_path / "no.json", [])
    assert run(work, out, "next", "--done", str(tmp_path / "no.json")) == 2
    assert "no.json: Input should be a valid dictionary: give the ledger.json that" in capsys.readouterr().err


def test_two_commands_do_not_work_in_one_folder(home: Path, tmp_path: Path, capsys: Any) -> None:
    work = away(home, tmp_path)
    with (work / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(work, tmp_path / "out", "1") == 2
        assert main(["campaign", "receive", str(tmp_path / "parts"), "--to", str(work)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [f"error: another command works in {work}: wait for its end"] * 2


def test_text_is_not_compressed_again(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "p"
    assert main(["campaign", "pack", "--out", str(out)]) == 0
    first = read_json(out / "index.json")
    cut: list[str] = []
    compress = parts._cut

    def counted(kind: str, *rest: Any) -> Iterator[parts.Part]:
        cut.append(kind)
        return compress(kind, *rest)

    monkeypatch.setattr(parts, "_cut", counted)
    assert main(["campaign", "pack", "--out", str(out)]) == 0
    assert cut == []
    with (home / "config/experiments.yaml").open("a") as file:
        file.write("# changed\n")
    assert main(["campaign", "pack", "--out", str(out)]) == 0
    assert cut == ["code"]
    (out / first["archives"]["text"][0]["name"]).write_bytes(b"")
    assert main(["campaign", "pack", "--out", str(out)]) == 0
    assert cut == ["code", "text"]
    assert read_json(out / "index.json")["archives"]["text"] == first["archives"]["text"]


@pytest.mark.slow
def test_a_slot_from_nothing_but_what_was_sent(tiny: Config, world: Path, tmp_path: Path) -> None:
    """With the wheel of the kit, in a process of its own."""
    assert bundle.kit_wheel is not wheel
    assert main(["campaign", "pack", "--out", str(tmp_path / "p")]) == 0
    work, out = tmp_path / "work", tmp_path / "out"
    away_from_home = tmp_path / "empty"
    away_from_home.mkdir()
    command = [sys.executable, str(tmp_path / "p/slot.py"), "--work", str(work), "--out", str(out), "next"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=away_from_home, env=environment)
    assert done.returncode == 0, done.stderr
    assert "stage 1: 2 branches done, 0 left" in done.stdout
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    _, plan = planned()
    assert len(plan.branches) == len(list((world / "results" / TINY["scale"] / "branches").glob("*.parquet")))
