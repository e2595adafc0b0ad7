"""What catalogues are told of released curves, for every folder of them that is in the repository."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from worlds import REPOSITORY

from cpt_dynamics import cli
from cpt_dynamics.curves import metadata, releasing, table
from cpt_dynamics.curves.released import Release
from cpt_dynamics.files import read_json

FOLDERS = sorted(path.parent for path in (REPOSITORY / "data/released").glob("*/release.json"))
folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@folders
def test_croissant_is_valid_and_reads_the_losses(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(folder / metadata.CROISSANT)
    assert caplog.messages == []
    assert str(found.metadata.ctx.conforms_to.value).endswith("/1.1")
    row = next(iter(found.records(record_set="curves")))
    first = table.read(folder / "curves.parquet").iloc[0]
    assert row["curves/run"].decode() == first["run"]
    assert np.isclose(row["curves/loss"], first["loss"], rtol=0, atol=0)


def test_a_damaged_croissant_is_not_valid(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    raw = read_json(FOLDERS[0] / metadata.CROISSANT)
    raw["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "nothing"
    (tmp_path / "croissant.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(tmp_path / "croissant.json")


@folders
def test_every_file_is_stated_with_its_digest(folder: Path) -> None:
    files = read_json(folder / "release.json")["files"]
    stated = {one["@id"]: one["sha256"] for one in read_json(folder / metadata.CROISSANT)["distribution"]}
    assert stated == {name: one["sha256"] for name, one in files.items() if name != metadata.CROISSANT}


@folders
def test_the_card_names_files_that_are_there(folder: Path) -> None:
    head = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert all((folder / one["data_files"]).is_file() for one in head["configs"])
    assert head["license"] == "cc-by-4.0"


@folders
def test_zenodo_gets_what_it_demands(folder: Path) -> None:
    found = read_json(folder / metadata.ZENODO)
    assert found.keys() >= {"title", "upload_type", "description", "creators", "license", "access_right"}
    assert found["creators"] == [{"name": metadata.CREATORS}]


@folders
def test_pages_are_as_the_kit_writes_them(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / folder.name
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    releasing.describe(Release.open(copy))
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_page_that_was_changed_is_refused_and_described_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(REPOSITORY)
    copy = tmp_path / "cpu"
    copy.mkdir()
    for path in FOLDERS[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "croissant.json").write_bytes(b"{}")
    assert cli.main(["release", "--describe", "--out", str(copy)]) == 2
    assert "croissant.json is not as it was released" in capsys.readouterr().err
    (copy / "croissant.json").write_bytes((FOLDERS[0] / "croissant.json").read_bytes())
    assert cli.main(["release", "--describe", "--out", str(copy)]) == 0
    assert "99 runs" in capsys.readouterr().out


@pytest.mark.parametrize(("rows", "word"), [(999, "n<1K"), (1000, "1K<n<10K"), (87885, "10K<n<100K")])
def test_sizes_have_the_words_of_the_hub(rows: int, word: str) -> None:
    assert f"- {word}\n" in metadata.card({"name": "curves"}, rows)
