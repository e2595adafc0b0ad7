"""Tables of the report, each written as CSV and LaTeX. A new one is one function, registered in `TABLES`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpt_dynamics.config import Config, Model, PretrainedModel
from cpt_dynamics.corpora import facts
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.experiments.estimates import size_of
from cpt_dynamics.figures.delphi.result import LABELS as ENTRIES
from cpt_dynamics.figures.delphi.result import Result as Delphi
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig10.result import Compared
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import Cell, count, escape, fixed, number, percent
from cpt_dynamics.figures.kit.published import PUBLISHED
from cpt_dynamics.figures.kit.text import NOTHING, PLAIN, SETS
from cpt_dynamics.figures.public_curves.result import Result as PublicCurves
from cpt_dynamics.files import atomic
from cpt_dynamics.layout import Layout
from cpt_dynamics.report import coefficients, contrasts, public
from cpt_dynamics.report.material import Material, NearDuplicates
from cpt_dynamics.report.table import BREAK, Table, as_csv, as_latex
from cpt_dynamics.report.table2 import table2
from cpt_dynamics.report.verdicts import cells, held

# The paper's Table 1, arXiv 2505.07796v2.
PAPER = {
    "model": "LLaMA-like",
    "parameters": "106M, 594M, 1720M",
    "general": "FineWeb",
    "strong": "Knowledge-Pile",
    "weak": "Pile-of-Law",
    "tokenizer": "LLaMA-3",
    "optimizer": "AdamW (0.9, 0.95)",
    "weight_decay": "0.1",
    "clip": "1.0",
    "peak_lr": "2e-4",
    "batch_tokens": "4M",
    "sequence": "4096",
    "steps": "10,000 to 60,000",
    "lambda": "0.999",
}


@dataclass(frozen=True)
class Recipe:
    """How a table is made, and what it reads: fits of `figures` (None: of all), corpora, published values.

    others: figures whose fits it shows where the scale has them.
    """

    make: Callable[[Material], Table]
    figures: tuple[str, ...] | None = ()
    corpora: bool = False
    published: bool = False
    others: tuple[str, ...] = ()

    def possible(self, experiments: Experiments) -> bool:
        return set(self.figures or ()) <= set(experiments.shown)

    def inputs(self, config: Config, experiments: Experiments) -> list[Path]:
        layout = Layout(config)
        wanted = {*(experiments.shown if self.figures is None else self.figures), *self.others}
        files = [layout.fit(figure) for figure in experiments.shown if figure in wanted]
        if self.published or self.figures is None:
            files.append(PUBLISHED)
        if self.corpora and config.curves == "released":
            files.append(layout.release / "corpora.json")
        elif self.corpora:
            files += [path for name in config.validations() for path in facts.paths(name, config).values()]
        return files


def table1(material: Material) -> Table:
    """Settings: the paper's beside this scale's."""
    config = material.config
    optimizer, batch, lengths = config.optimizer, config.batch, config.lengths
    corpora = {role: f"{getattr(config.roles, role)}" for role in ("general", "strong", "weak")}
    sizes = ", ".join(f"{size_of(name, config).parameters:,}" for name in material.models())
    tokenizer = config.tokenizer.pretrained or f"byte-level BPE, {config.tokenizer.vocabulary:,} entries"
    rows = [
        ("Model", PAPER["model"], _shapes(list(material.models().values()))),
        ("Non-embedding parameters", PAPER["parameters"], sizes),
        ("General corpus", PAPER["general"], corpora["general"]),
        ("Domain corpus", PAPER["strong"], corpora["strong"]),
        ("Second domain corpus", PAPER["weak"], corpora["weak"]),
        ("Tokenizer", PAPER["tokenizer"], tokenizer),
        ("Optimizer", PAPER["optimizer"], f"AdamW ({optimizer.beta1:g}, {optimizer.beta2:g})"),
        ("Weight decay", PAPER["weight_decay"], f"{optimizer.weight_decay:g}"),
        ("Gradient clipping", PAPER["clip"], f"{optimizer.clip:.1f}"),
        ("Peak LR of PT", PAPER["peak_lr"], _power(optimizer.peak_lr)),
        ("Batch, tokens", PAPER["batch_tokens"], f"{batch.sequences * batch.length:,}"),
        ("Sequence, tokens", PAPER["sequence"], f"{batch.length:,}"),
        ("PT steps", PAPER["steps"], f"{lengths.pretraining:,} ({lengths.warmup:,} of warm-up)"),
        ("CPT steps", PAPER["steps"], f"{lengths.continual:,} ({lengths.rewarmup:,} of re-warm-up)"),
        ("Memory of the annealing area, λ", PAPER["lambda"], f"{config.law.lambda_:g}"),
    ]
    return Table(
        r"Settings: the paper's and those of this scale (\texttt{" + escape(config.scale) + "}).",
        [(Cell(""), "l"), (Cell("paper"), "l"), (Cell("here"), r"p{0.42\linewidth}")],
        [[Cell(cell) for cell in row] for row in rows],
    )


def _power(value: float) -> str:
    """0.0002 as 2e-4."""
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _shapes(models: list[Model | PretrainedModel]) -> str:
    """Shapes of the models that are trained from scratch, and names of pretrained ones."""
    shapes = [f"layers {m.layers}, width {m.width}, heads {m.heads}" for m in models if isinstance(m, Model)]
    names = [m.pretrained for m in models if isinstance(m, PretrainedModel)]
    return "; ".join([*([f"LLaMA-like: {'; '.join(shapes)}"] if shapes else []), *names])


def corpora(material: Material) -> Table:
    """What the models read."""
    rows = []
    for corpus in material.corpora:
        known = corpus.known
        matches = {True: "yes", False: "NO", None: "none recorded"}[known.source.matches]
        rows.append(
            [
                Cell(corpus.name, escape(corpus.name).replace(r"\_", r"\_\allowbreak{}")),
                Cell(corpus.role.replace("_", " ")),
                Cell(corpus.description),
                Cell(known.source.licence),
                count(known.split.documents),
                Cell(str(known.split.bytes), f"{known.split.bytes / 1e6:.1f}"),
                count(known.train.count),
                count(known.validation.count),
                _near_duplicates(known.near_duplicates),
                Cell(matches),
            ]
        )
    narrow = r">{\raggedright\arraybackslash}p"
    columns = [
        (Cell("corpus"), narrow + "{2.1cm}"),
        (Cell("role"), narrow + "{1.3cm}"),
        (Cell("description"), narrow + "{2.1cm}"),
        (Cell("licence"), narrow + "{1.7cm}"),
        (Cell("documents", "docu-" + BREAK + "ments"), "r"),
        (Cell("bytes", "MB"), "r"),
        (Cell("training tokens", "training" + BREAK + "tokens"), "r"),
        (Cell("validation tokens", "validation" + BREAK + "tokens"), "r"),
        (Cell("near-duplicates at .5 and .75", "near-" + BREAK + "duplicates"), "r"),
        (Cell("digest as recorded", "digest as" + BREAK + "recorded"), "l"),
    ]
    return Table(
        "Corpora. Documents are distinct texts; tokens are those of the training and the validation part"
        " after the split. Near-duplicates are validation documents that share at least half (three quarters) of their"
        " five-word sequences with one training document, as shares of all. The last column says whether the digest of"
        " all documents is the one that the configuration records.",
        columns,
        rows,
    )


def _near_duplicates(found: NearDuplicates | None) -> Cell:
    if found is None:
        return NOTHING
    shares = [f"{100 * share:.1f}" for share in found.share.values()]
    return Cell(f"{', '.join(shares)} %", rf"{', '.join(shares)}\,\%")


def fits(material: Material) -> Table:
    """Quality of the fit of Fig. 3, and what the two choices that the paper leaves open change."""
    rows = []
    result = material.result(Fig03)
    for role, found in result.fits.items() if result else ():
        variants = {
            "as configured": found.chosen,
            "the paper's λ": found.paper_lambda,
            "other momentum": found.other_carry_over,
        }
        for label, one in variants.items():
            rows.append(
                [
                    Cell(PLAIN[role], SETS[role]),
                    Cell(label),
                    Cell(f"{one.lambda_:g}"),
                    Cell("carried over" if one.carry_over else "restarts"),
                    fixed(one.r2, 4),
                    fixed(one.r2_continual, 4),
                    number(one.huber_sum, 3),
                    percent(one.mean_relative_error_continual),
                    fixed(one.skill, 3),
                ]
            )
        theirs = published.table2(role)
        paper = [Cell(PLAIN[role], SETS[role]), Cell("paper, its Table 2"), Cell(PAPER["lambda"]), NOTHING]
        rows.append([*paper, fixed(theirs.r2, 4), NOTHING, number(theirs.huber, 2), NOTHING, NOTHING])
    return Table(
        r"Quality of the fit of Eq.~\ref{eq:law}, with another $\lambda$ and with the momentum of the"
        " annealing area treated otherwise at the transfer.",
        [
            (Cell("set"), "l"),
            (Cell("variant"), "l"),
            (Cell("lambda", r"$\lambda$"), "r"),
            (Cell("momentum"), "l"),
            (Cell("R2", "$R^2$"), "r"),
            (Cell("R2 on CPT", "$R^2$, CPT"), "r"),
            (Cell("Huber sum"), "r"),
            (Cell("error on CPT"), "r"),
            (Cell("skill"), "r"),
        ],
        rows,
        "The error is the mean relative one. Skill is 1 minus that error over the error of the law without"
        " annealing areas; unlike $R^2$ it does not rise with the range of the losses. Huber sums grow with"
        " the number of losses, which the paper does not state.",
    )


def heldout(material: Material) -> Table:
    """Errors of the predictions of Fig. 10."""
    rows = []
    result = material.result(Fig10)
    for role, found in result.predictions.items() if result else ():
        everything: dict[str, Compared] = {**found.runs, "all": found.pooled}
        for run, compared in everything.items():
            rows.append(
                [
                    Cell(PLAIN[role], SETS[role]),
                    Cell(run),
                    count(int(compared.law.n)),
                    percent(compared.law.mean_relative_error),
                    percent(compared.law.worst_relative_error),
                    percent(compared.s1_only.mean_relative_error),
                    fixed(compared.ratio, 3),
                ]
            )
    return Table(
        "Losses predicted for schedules that were not fitted, on their CPT steps: relative errors of "
        r"Eq.~\ref{eq:law} and of the law without annealing areas (fitted to the same runs).",
        [(Cell("set"), "l"), (Cell("run"), "l"), (Cell("losses"), "r")]
        + [(Cell(text), "r") for text in ("mean error", "worst error", "without annealing", "ratio")],
        rows,
    )


def checks(material: Material) -> Table:
    """Every check of every figure, with its bound and its outcome."""
    rows = []
    for figure in material.figures:
        for one in material.checks(figure):
            says, measured, wanted, printed = cells(one)
            holds = Cell("yes" if one.holds else "no", held(one))
            rows.append([Cell(material.names[figure]), says, measured, wanted, printed, holds])
    return Table(
        r"All checks. The bounds stand in \texttt{config/claims.yaml}, the same at every scale.",
        [
            (Cell("figure"), "l"),
            (Cell("check"), r">{\raggedright\arraybackslash}p{7.2cm}"),
            (Cell("measured"), "r"),
            (Cell("wanted"), "l"),
            (Cell("paper"), "l"),
            (Cell("holds"), "l"),
        ],
        rows,
    )


def public_curves(material: Material) -> Table:
    """Laws on the public curves."""
    result = material.result(PublicCurves)
    errors = ("R2", "MAE", "RMSE", "PredE", "WorstE")
    return Table(
        r"Laws on public pre-training curves (three sizes): fitted to a cosine, a constant and a two-stage run, means"
        r" over six test runs, on all rows and on those that are no row of a fitted run. $^{*}$: the warm-up"
        r" convention with the best training objective.",
        [(Cell("size"), "l"), (Cell("law"), r">{\raggedright\arraybackslash}p{2.5cm}"), (Cell("objective"), "r")]
        + [(Cell(f"{error}, all rows", error.replace("R2", "$R^2$")), "r") for error in errors]
        + [(Cell(f"{error}, unseen rows", error.replace("R2", "$R^2$")), "r") for error in errors],
        public.rows(result) if result else [],
        "First five columns of errors: all rows, as published; last five: unseen rows. PredE and WorstE are the mean"
        r" and the largest relative error. The objective is the sum of Huber terms ($\delta=10^{-3}$) of the"
        " differences of logarithms over all training rows.",
    )


def delphi(material: Material) -> Table:
    """Entries of the benchmark at LRs that were not fitted, on the public curves of continual pre-training."""
    result = material.result(Delphi)
    heads = [(part, *one) for part in ("mean", "end") for one in ENTRIES.items()]
    aligned = [*"rrrrrr", r"@{\hskip 1.4em}r", *"rrrrr"]  # the two halves apart
    return Table(
        "Continual pre-training by others at learning rates that were not fitted, by base: mean errors (\\%) between"
        " the fitted ones (first six columns), and signed errors of the last loss (\\%) above them (last six), means"
        " over runs and mixes.",
        [(Cell("base"), "l")]
        + [
            (Cell(f"{entry}, {part}", label.replace(" ", BREAK)), align)
            for (part, entry, label), align in zip(heads, aligned, strict=True)
        ],
        public.unseen_lrs(result) if result else [],
        "Below zero the loss is predicted too low. The last row has the largest error of a single row. The mean of"
        " both is that of the predictions of the noise law and Eq.~4; the line goes through the two nearest LRs.",
    )


TABLES: dict[str, Recipe] = {
    "table1": Recipe(table1),
    "table_corpora": Recipe(corpora, corpora=True),
    "table2": Recipe(table2, ("fig20",), published=True),
    "table_coefficients": Recipe(
        coefficients.eq4, ("fig03",), published=True, others=coefficients.figures(coefficients.EQ4)
    ),
    "table_coefficients_other": Recipe(
        coefficients.others, ("fig02",), published=True, others=coefficients.figures(coefficients.OTHERS)
    ),
    "table_fits": Recipe(fits, ("fig03",), published=True),
    "table_heldout": Recipe(heldout, ("fig10",)),
    "table_public": Recipe(public_curves, ("public_curves",)),
    "table_delphi": Recipe(delphi, ("delphi",)),
    "table_contrasts": Recipe(contrasts.table, ("contrasts",)),
    "table_checks": Recipe(checks, None),
}


def available(experiments: Experiments) -> list[str]:
    """Tables whose figures are all among those of a scale."""
    return [table for table, recipe in TABLES.items() if recipe.possible(experiments)]


def write(table: str, material: Material) -> list[Path]:
    """Write `tables/<table>.csv` and `.tex`; returns the paths. An unknown table raises `UserError`."""
    possible = available(material.experiments)
    if table not in possible:
        raise UserError(
            f"there is no table {table!r} for the figures of this scale: choose one of {', '.join(possible)}"
        )
    made = TABLES[table].make(material)
    paths = [material.layout.table(table, suffix) for suffix in ("csv", "tex")]
    for path, text in zip(paths, (as_csv(made), as_latex(made, table)), strict=True):
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths
