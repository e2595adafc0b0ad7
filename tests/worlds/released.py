"""Folders of released curves with results, and recommendations that are made up."""

import json
from pathlib import Path
from typing import Any

from cpt_dynamics.curves.released import CONTENTS, RESULTS, SCHEMA, seal
from cpt_dynamics.files import sha256, write_json
from cpt_dynamics.planning import recommendations


def release(folder: Path, results: dict[str, Any] | None) -> Path:
    """Write the folder: curves that nobody reads here, and `results` as theirs (None: without)."""
    folder.mkdir(parents=True)
    (folder / "curves.parquet").write_bytes(folder.name.encode())
    if results is not None:
        write_json(folder / RESULTS, {**results, "curves": sha256(folder / "curves.parquet")})
    sealed(folder)
    return folder


def sealed(folder: Path) -> None:
    """State size and digest of every file, as a release does."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != CONTENTS
    }
    said = {"name": folder.name, "kit": "1", "scale": folder.name, "seed": 1, "started": "2026", "finished": "2026"}
    contents: dict[str, Any] = {"schema": SCHEMA, **said, "files": files}
    write_json(folder / CONTENTS, {**contents, "sha256": seal(contents)})


def recommend(values: dict[str, float], path: Path) -> None:
    """A file of recommendations: one value of each knob."""
    knobs = {
        knob: {
            "recommendations": [{"weight": 0.5, "value": value, "run": recommendations.run_name(knob, value)}],
            "runs": {recommendations.run_name(knob, value): recommendations.run_entry(knob, value)},
        }
        for knob, value in values.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"knobs": knobs}), encoding="utf-8")
