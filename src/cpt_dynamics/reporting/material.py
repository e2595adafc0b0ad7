"""Everything that the report and the summary read: configuration, fits, manifests, corpora."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cpt_dynamics import experiments
from cpt_dynamics.analysis import findings, scale_results
from cpt_dynamics.analysis.findings import Finding
from cpt_dynamics.config import Config, Model, PretrainedModel, read_yaml
from cpt_dynamics.corpora.facts import facts, paths
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Plan
from cpt_dynamics.files import canonical, digest, read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.versions import versions

PUBLISHED = Path("data/published/coefficients.yaml")
ROLES = {"general": "D_pt", "strong": "D_cpt", "weak": "D_cpt (weak shift)"}


@dataclass(frozen=True)
class Material:
    """Results of a scale, read when they are asked for; what is missing raises `UserError` with its file."""

    config: Config

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.config)

    @cached_property
    def experiments(self) -> Experiments:
        return experiments.load(self.config)

    @cached_property
    def plan(self) -> Plan:
        return experiments.plan(self.experiments.runs.values(), self.config)

    @property
    def figures(self) -> list[str]:
        """Figures of the report, in the order of experiments.yaml."""
        return self.experiments.shown

    def section(self, figure: str) -> str:
        """What a figure is made from: `runs` of this scale (its fits too), `none` (printed numbers) or `public`."""
        entry = self.experiments.figures[figure]
        return "runs" if entry.needs else entry.curves

    @cached_property
    def findings(self) -> list[Finding]:
        """The verdict on every claim of config/claims.yaml."""
        claims = findings.load()
        shown = [figure for figure in claims.figures if figure in self.figures]
        return findings.evaluate(claims, {figure: self.result(figure) for figure in shown})

    def models(self) -> dict[str, Model | PretrainedModel]:
        """Models that the runs of the figures are trained with, in the order of the configuration."""
        used = {self.experiments.runs[run].model for run in self.experiments.chosen(None)}
        return {name: model for name, model in self.config.models.items() if name in used}

    @cached_property
    def published(self) -> dict[str, Any]:
        return read_yaml(PUBLISHED)

    def table2(self, role: str) -> dict[str, Any]:
        """Quality of Eq. 4 as the paper's Table 2 prints it, for one validation set."""
        return next(p for p in self.published["table2"] if (p["role"], p["variant"]) == (role, "original"))

    @cached_property
    def _results(self) -> dict[str, Any]:
        return {}

    def result(self, figure: str) -> Any:
        """What the analysis of a figure found (`fits/<figure>.json`)."""
        if figure not in self._results:
            self._results[figure] = read_json(self.layout.fit(figure))
        return self._results[figure]

    def pick(self, figure: str, *keys: str) -> Any:
        """One value of a figure's result; a missing key raises `UserError` naming file and key."""
        return pick(self.result(figure), self.layout.fit(figure), *keys)

    @cached_property
    def agreement(self) -> dict[str, Any] | None:
        """How far the scale agrees with others that are released (agreement.json); None where there is no other."""
        return dict(read_json(self.layout.agreement)) if scale_results.others(self.config) else None

    @cached_property
    def release(self) -> Release | None:
        """The released curves that everything is made from; None where the curves are trained here."""
        return Release.open(self.layout.release) if self.config.curves == "released" else None

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Manifest of every branch that the figures need."""
        if self.release:
            runs = [self.experiments.runs[name] for name in self.experiments.chosen(None)]
            return self.release.manifests(runs, self.config)
        needed = self.plan.needed(self.experiments.chosen(None))
        return {b.id: read_json(self.layout.branch(b.id).with_suffix(".json")) for b in needed}

    def of_manifests(self, *keys: str) -> list[Any]:
        """One value of every manifest, in the order of the branches."""
        return [pick(manifest, self._manifest(name), *keys) for name, manifest in self.manifests.items()]

    def _manifest(self, branch: str) -> Path:
        """The file that has the manifest of a branch."""
        return self.release.path("manifests.json") if self.release else self.layout.branch(branch).with_suffix(".json")

    @property
    def started(self) -> str:
        """When the first branch began to train, ISO 8601 in UTC."""
        return min(self.of_manifests("started"))

    @property
    def finished(self) -> str:
        """When the last branch was done."""
        return max(self.of_manifests("finished"))

    def fitted_with(self) -> dict[str, list[str]]:
        """Versions of each package that fits, figures and report are made with: those of training, unless its curves
        are released ones."""
        if self.release is None:
            return self.versions()
        return {name: [str(version or "not installed")] for name, version in versions().items()}

    def versions(self) -> dict[str, list[str]]:
        """Versions of each package that branches were trained with (one, unless it changed between branches)."""
        found: dict[str, set[str]] = {}
        for recorded in self.of_manifests("versions"):
            for name, version in recorded.items():
                found.setdefault(name, set()).add(str(version) if version is not None else "not installed")
        return {name: sorted(several) for name, several in found.items()}

    def devices(self) -> list[dict[str, Any]]:
        """Distinct devices (with precision, compilation, threads) that branches were trained on."""
        return list({canonical(d): d for d in self.of_manifests("numerics")}.values())

    def machines(self) -> list[Any]:
        """The machines that the branches were trained on, each once."""
        return list({canonical(machine): machine for machine in self.of_manifests("machine")}.values())

    def corpora(self) -> list[dict[str, Any]]:
        """What is known of each corpus that is trained or validated on, in the order of the roles."""
        return [self._corpus(name) for name in self.config.validations()]

    def _corpus(self, name: str) -> dict[str, Any]:
        if self.release:
            file = self.release.path("corpora.json")
            known, files = pick(self.release.corpora(), file, name), dict.fromkeys(paths(name, self.config), file)
        else:
            known, files = facts(name, self.config), paths(name, self.config)
        source = known["source"]
        roles = [role for role in ROLES if getattr(self.config.roles, role) == name]
        return {
            "name": name,
            "role": ", ".join(roles) or "out_of_domain",
            "source": self.config.corpora[name].source,
            "kind": source.get("kind"),
            "description": self.config.corpora[name].description or source.get("description", ""),
            "licence": pick(source, files["source"], "licence"),
            "documents": pick(known["split"], files["split"], "documents"),
            "bytes": pick(known["split"], files["split"], "bytes"),
            "tokens": {part: pick(known[part], files[part], "count") for part in ("train", "validation")},
            "sha256": source.get("sha256"),
            "expected_sha256": source.get("expected_sha256"),
            "matches": source.get("matches"),
            "warnings": source.get("warnings", []),
        }

    def fitting_seconds(self) -> float:
        """CPU seconds of all fits that the results keep, each counted once."""
        found: dict[str, float] = {}
        for figure in self.figures:
            for one in _fits(self.result(figure)):
                found[digest(one)] = float(one["cpu_seconds"])
        return sum(found.values())


def pick(value: Any, file: Path, *keys: str) -> Any:
    """`value[keys[0]][keys[1]]...`; a missing key raises `UserError` naming the file and the key."""
    for number, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            raise UserError(f"{file}: key {'.'.join(keys[: number + 1])!r} is missing: delete it and make it again")
        value = value[key]
    return value


def _fits(value: Any) -> list[dict[str, Any]]:
    """All fits (see `fitting.Fit.to_json`) anywhere in a result."""
    if isinstance(value, list):
        return [one for item in value for one in _fits(item)]
    if not isinstance(value, dict):
        return []
    if {"law", "parameters", "cpu_seconds"} <= value.keys():
        return [value]
    return [one for item in value.values() for one in _fits(item)]
