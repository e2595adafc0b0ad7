"""Files are whole or absent, also when the disk is full or the process stops halfway."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from worlds.commands import small_file_system
from worlds.tiny import TINY

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic, canonical, digest, read_json, read_table, write_json, write_table


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with small_file_system(tmp_path / "disk", "1m") as folder:
        yield folder


def test_what_fails_halfway_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / "file").write_text(content)
    assert (tmp_path / "folder/file").read_text() == "new"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    with (
        pytest.raises(UserError, match=r"no space left for .*big: free some disk space"),
        atomic(small_disk / "big") as temporary,
    ):
        temporary.write_bytes(bytes(2_000_000))
    assert os.listdir(small_disk) == []


def test_training_on_a_full_disk_is_one_line(
    tiny: Config, world: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(tiny.results) / tiny.scale
    other = small_disk / tiny.scale
    other.mkdir()
    for part in ("tokens", "tokenizer.json"):
        (other / part).symlink_to((text / part).resolve())
    (world / "config/config.yaml").write_text(yaml.safe_dump({**TINY, "results": str(small_disk)}))
    config = configuration.load([])
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    filler = small_disk / "filler"
    with open(filler, "wb") as handle:
        handle.write(bytes(960_000))
    capsys.readouterr()
    assert main(["train", "--plan"]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(said) == 1
    assert "no space left" in said[0]
    assert not list((other / "branches").glob("*"))
    assert not list((other / "checkpoints").glob(".*"))
    filler.unlink()
    assert main(["train", "--branch", next(iter(plan.branches))]) == 0


WAITS = """
import sys, time
from pathlib import Path
from cpt_dynamics import cli, files
from cpt_dynamics.cli import laws

def write(options):
    with files.atomic(Path("folder")) as made:
        made.mkdir()
        (made / "part").write_text("half")
        print("writing", flush=True)
        time.sleep(60)

laws.run_laws = write
sys.argv = ["cpt-dynamics", "laws"]
sys.exit(cli.main())
"""


def test_a_command_that_is_ended_leaves_nothing_half_written(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="not a readable parquet file"):
        read_table(tmp_path / "a.parquet", "x/1")
    text = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"a\xd2"))
    pq.write_table(pa.table({"run": text}, metadata={"schema": "x/1"}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet is not a readable parquet file .*UTF"):
        read_table(tmp_path / "a.parquet", "x/1")
    write_table(tmp_path / "b.parquet", pd.DataFrame({"a": [1]}), "x/1")
    with pytest.raises(UserError, match="holds schema 'x/1', expected 'x/2'"):
        read_table(tmp_path / "b.parquet", "x/2")
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "c.json")


def test_equal_values_have_equal_digests() -> None:
    assert canonical({"b": 1, "a": [1.5]}) == '{"a":[1.5],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 2})
