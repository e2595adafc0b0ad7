"""The schemas and config/README.md say what the models say; the schemas take and refuse what the kit does."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml

from cpt_dynamics import config, config_docs, fitting

ROOT = Path(__file__).parent.parent


def load(name: str) -> Any:
    return json.loads((ROOT / f"workflow/schemas/{name}.schema.json").read_text())


def default() -> dict[str, Any]:
    return config.read_yaml(ROOT / config.DEFAULT)


def test_generated_files_are_up_to_date() -> None:
    assert config_docs.outdated(ROOT) == [], "run `make docs-config`"


def test_write_mends_what_check_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in config_docs.files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    readme = tmp_path / "config/README.md"
    readme.write_text(readme.read_text() + "an edit by hand\n")
    (tmp_path / "workflow/schemas/config.schema.json").unlink()

    assert config_docs.main([]) == 1
    reported = capsys.readouterr().out
    assert "config/README.md" in reported
    assert "config.schema.json" in reported
    assert config_docs.main(["--write"]) == 0
    assert config_docs.main([]) == 0


@pytest.mark.parametrize("name", ["config", "scale", "experiments", "fit"])
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load(name))


def test_the_files_of_the_kit_fit_their_schemas() -> None:
    jsonschema.validate(default(), load("config"))
    jsonschema.validate(config.read_yaml(ROOT / "config/experiments.yaml"), load("experiments"))
    for path in sorted((ROOT / "config/scales").glob("*.yaml")):
        jsonschema.validate(config.read_yaml(path), load("scale"))


def test_files_fit_the_schema_that_their_first_line_names_to_editors() -> None:
    for path in [*ROOT.glob("config/*.yaml"), *ROOT.glob("config/scales/*.yaml")]:
        first = path.read_text().splitlines()[0]
        if first.startswith("# yaml-language-server:"):
            schema = path.parent / first.partition("$schema=")[2].strip()
            jsonschema.validate(config.read_yaml(path), json.loads(schema.read_text()))


@pytest.mark.parametrize(
    "edit",
    [
        {"leraning_rate": 1},
        {"seed": -1},
        {"optimizer": {"peak_lr": "3e-3"}},
        {"corpora": {"handbook": {"source": "nowhere"}}},
    ],
)
def test_the_schemas_refuse_what_the_kit_refuses(edit: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config.merge(default(), edit), load("config"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(edit, load("scale"))


def test_a_scale_may_state_parts_and_drop_a_corpus() -> None:
    scale = {"scale": "mine", "batch": {"length": 128}, "corpora": {"unwanted": None}}
    jsonschema.validate(scale, load("scale"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(scale, load("config"))


def test_every_key_of_the_models_is_in_the_readme() -> None:
    readme = (ROOT / "config/README.md").read_text()
    for definition in [load("config"), *load("config")["$defs"].values()]:
        for key in definition["properties"]:
            assert f"| `{key}` |" in readme


def test_defaults_are_shown_as_yaml_that_reads_back() -> None:
    row = next(line for line in (ROOT / "config/README.md").read_text().splitlines() if line.startswith("| `epsilon`"))
    shown = row.split("|")[3].strip(" `")
    assert yaml.safe_load(shown) == config.Optimizer(peak_lr=1).epsilon


def test_a_fit_fits_its_schema_and_every_field_is_explained() -> None:
    area = np.linspace(1.0, 30.0, 12)
    features = {"s1pt": area, "s1cpt": np.zeros(12), "s2pt": 0.1 * area, "s2cpt": np.zeros(12)}
    fit = fitting.fit("annealing", features, 2.0 + 1.5 * area**-0.5, n_starts=1, n_screen=8)
    written = json.loads(json.dumps(fit.to_json()))
    schema = load("fit")
    jsonschema.validate(written, schema)
    assert set(schema["properties"]) == set(written)
    assert all(field["description"] for field in schema["properties"].values())
    for name in written:
        with pytest.raises(jsonschema.ValidationError, match=name):
            jsonschema.validate({key: value for key, value in written.items() if key != name}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "objective": "small"}, schema)
