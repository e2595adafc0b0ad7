"""The arguments of the commands on logs and fits.

They stand apart from what the commands do, so that `--help` imports nothing that takes long.
"""

import argparse

# The values of types in rooms that take long to import; a test compares them.
FORMATS = ("curves", "csv", "wandb", "trainer_state")
KNOBS = ("potential", "peak_lr", "replay", "steps")
MEASURES = ("change", "final")
METHODS = ("varpro", "paper")
PHASES = ("pretraining", "continual")
SHAPES = ("constant", "cosine", "linear", "wsd")
SHIFTS = ("positive", "negative", "free")
WARMUPS = ("peak", "true-in-S1", "true-in-both")


def add_laws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one law, with its parameters")
    parser.add_argument(
        "--for", dest="logs", nargs="+", default=[], metavar="LOG", help="rank the laws that these logs can tell"
    )
    add_reading(parser)
    add_shift(parser)
    add_features(parser)
    add_law_file(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_fit(parser: argparse.ArgumentParser) -> None:
    add_logs(parser)
    group = parser.add_argument_group("fit")
    group.add_argument(
        "--law", metavar="NAME", help="see `cpt-dynamics laws` (default: cpt, or what the rows allow); auto: chosen"
    )
    add_law_file(group)
    add_shift(group)
    group.add_argument("--method", choices=METHODS, default="varpro", help="how to search (default: varpro)")
    group.add_argument("--starts", type=int, metavar="N", help="starts of the search (default: the method's own)")
    group.add_argument("--fix", nargs="+", action="extend", metavar="NAME=VALUE", help="hold parameters")
    group.add_argument("--exclude", action="append", metavar="RUN,...", help="hold runs out; they are predicted")
    group.add_argument("--intervals", action="store_true", help="refit without each run, for intervals (takes longer)")
    group.add_argument("--level", type=float, default=0.9, metavar="P", help="level of intervals (default: 0.9)")
    group.add_argument("--profile", action="append", metavar="NAME", help="profile the objective over a parameter")
    group.add_argument("--sweep-lambda", metavar="L,...", help="compare fits over these values of lambda")
    add_features(parser)
    add_results(parser, "FIT.json", "write the fit, for `cpt-dynamics predict`")


def add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fit", metavar="FIT.json", help="what `cpt-dynamics fit --out` wrote")
    add_logs(parser, nargs="*")
    parser.add_argument("--every", type=int, metavar="N", help="predict every N steps (default: about 20 rows)")
    add_law_file(parser)
    add_columns(parser)
    add_results(parser, "FILE.csv", "write the prediction as a table")


def add_compare(parser: argparse.ArgumentParser) -> None:
    add_logs(parser, nargs="*")
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--laws",
        metavar="NAME,...",
        help="laws (default: cpt or annealing, and it without S2); a+b: their mean; stacked:a+b: weights from runs left"
        " out",
    )
    add_law_file(group)
    add_shift(group)
    group.add_argument("--fit-runs", action="append", metavar="RUN,...", help="runs to fit")
    group.add_argument("--test-runs", action="append", metavar="RUN,...", help="runs to test on (default: the others)")
    group.add_argument("--phase", choices=PHASES, help="test rows of this phase alone")
    group.add_argument("--public", metavar="FOLDER", help="the 27 public curves (csv_25 ...), by their own protocol")
    group.add_argument(
        "--published", metavar="FILE", help="what is published about them (data/published/multi_power.yaml)"
    )
    add_features(parser)
    add_results(parser, "FILE.json", "write the comparison as JSON")


def add_recommend(parser: argparse.ArgumentParser) -> None:
    add_fits(parser)
    parser.add_argument(
        "--weight",
        dest="weights",
        action="append",
        type=float,
        required=True,
        metavar="W1",
        help="weight of the D_pt loss in the goal, from 0 to 1; once more for another plan",
    )
    group = add_training(parser)
    group.add_argument("--steps", nargs="+", type=int, required=True, metavar="N", help="of CPT; several: a plan each")
    group.add_argument("--peak", metavar="LR", help="peak LR of CPT; `last`: start from the checkpoint's LR")
    group.add_argument("--shape", choices=SHAPES, default="cosine", help="of CPT's LR (default: cosine)")
    group.add_argument("--decay-share", type=float, default=0.2, metavar="S", help="share of CPT that wsd decays over")
    group.add_argument("--end", type=float, default=0.0, metavar="LR", help="last LR of CPT (default: 0)")
    group = parser.add_argument_group("what is chosen")
    group.add_argument(
        "--choose",
        nargs="+",
        choices=KNOBS,
        metavar="KNOB",
        help=f"of {', '.join(KNOBS)} (default: peak_lr and, where both laws read it, replay, unless given)",
    )
    group.add_argument(
        "--range",
        action="append",
        metavar="KNOB=LOW:HIGH",
        help="where a knob is searched (peak_lr: up to the peak of PT)",
    )
    group.add_argument(
        "--measure",
        choices=MEASURES,
        help="weigh the changes of both losses (Eq. 5), or the final losses (default: change; with potential: final)",
    )
    group.add_argument(
        "--tolerance", type=float, default=0.001, metavar="NATS", help="what counts as no worse (default: 0.001)"
    )
    group.add_argument("--cap", type=float, metavar="NATS", help="most D_cpt text that lets the D_pt loss rise by this")
    add_results(parser)


def add_schedule(parser: argparse.ArgumentParser) -> None:
    add_fits(parser)
    parser.add_argument(
        "--weight", type=float, required=True, metavar="W1", help="weight of the D_pt loss in the goal, from 0 to 1"
    )
    group = add_training(parser)
    group.add_argument("--steps", type=int, required=True, metavar="N", help="of CPT")
    group.add_argument("--floor", type=float, metavar="LR", help="lowest LR (default: a tenth of the peak of PT)")
    group.add_argument("--peak-cap", type=float, metavar="LR", help="highest LR (default: the peak of PT)")
    group.add_argument("--knots", type=int, default=64, metavar="K", help="pieces of the schedule (default: 64)")
    add_results(parser, "FILE.csv", "write the LR of every step of CPT (columns step, lr)")


# --- shared -------------------------------------------------------------------------------------------------


def add_logs(parser: argparse.ArgumentParser, nargs: str = "+") -> None:
    """LOG... and how to read them."""
    parser.add_argument(
        "logs",
        nargs=nargs,
        metavar="LOG",
        help="CSV, W&B export, trainer_state.json or curve table (parquet); LOSSES.csv,LR.csv is one log in two files",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How to read logs."""
    group = parser.add_argument_group("reading logs ([LOG=] before a value: for that log alone)")
    group.add_argument("--validation", metavar="SET", help="the validation set, where the logs have several")
    group.add_argument("--run", action="append", metavar="[LOG=]NAME", help="name of the run, or which one to read")
    group.add_argument("--only", action="append", metavar="RUN,...", help="use these runs alone")
    group.add_argument("--schedule", action="append", metavar="[LOG=]EXPR", help="LR, as 'warmup 500 to 2e-4; ...'")
    group.add_argument("--pretraining-steps", action="append", metavar="[LOG=]N", help="steps that are PT, or all")
    group.add_argument("--first-step", type=int, default=1, metavar="N", help="leave out rows of PT before step N")
    group.add_argument(
        "--columns", nargs="+", action="extend", metavar="FIELD=COLUMN", help="name columns, e.g. lr=eta loss/law=l2"
    )
    group.add_argument("--format", choices=FORMATS, help="format of the logs (default: found out)")
    group.add_argument("--unit", action="append", metavar="[LOG=]UNIT", help="nats or bits per token (default: nats)")
    group.add_argument("--lr-logged", choices=("used", "next"), help="whose LR a step's row has: its own or the next's")
    group.add_argument("--steps-from", type=int, choices=(0, 1), help="what the log calls its first training step")


def memory(text: str) -> float | str:
    """The value of `--lambda`: a number, or auto."""
    return text if text == "auto" else float(text)


memory.__name__ = "number"  # what argparse says of a wrong one


def add_features(parser: argparse.ArgumentParser) -> None:
    """How areas are made, and columns that only some laws read."""
    group = parser.add_argument_group("areas")
    group.add_argument(
        "--lambda",
        dest="lambda_",
        type=memory,
        default=0.999,
        metavar="L",
        help="memory of S2: 0.999; auto: 1 - 60/T, or what the runs tell",
    )
    group.add_argument("--warmup", choices=WARMUPS, default="peak", help="how PT's warm-up counts: peak")
    group.add_argument("--restart-momentum", action="store_true", help="S2 starts anew at the transfer")
    group.add_argument("--lr-power", type=float, default=0.1, metavar="P", help="of the law cpt_lr_weighted: 0.1")
    add_columns(parser)


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Columns that only some laws read."""
    group = parser.add_argument_group("columns of some laws (a value alone: of every run)")
    group.add_argument("--replay", nargs="+", action="extend", metavar="RUN=SHARE", help="share of PT text in CPT")
    group.add_argument("--params", nargs="+", action="extend", metavar="RUN=N", help="non-embedding parameters")
    group.add_argument(
        "--initial-lr",
        nargs="+",
        action="extend",
        metavar="RUN=LR",
        help="LR of the checkpoint of a run whose pre-training is unknown (default: 0)",
    )


def add_fits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("general", metavar="GENERAL_FIT.json", help="fit of the D_pt loss (`cpt-dynamics fit --out`)")
    parser.add_argument("domain", metavar="DOMAIN_FIT.json", help="fit of the D_cpt loss")
    add_law_file(parser)


def add_training(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Options of PT and CPT; returns their group."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--pretraining",
        required=True,
        metavar="EXPR",
        help="LR of pre-training (PT), such as 'warmup 500 to 2e-4; wsd 19500 to 2e-5 decay 0.2'",
    )
    group.add_argument(
        "--rewarmup", type=int, metavar="N", help="steps of the rise in CPT (default: as in PT, at most 10 %% of CPT)"
    )
    group.add_argument(
        "--replay", type=float, metavar="R", help="share of D_pt text in CPT (default: 0, unless chosen)"
    )
    group.add_argument("--params", type=float, metavar="N", help="non-embedding parameters, for laws that read them")
    group.add_argument(
        "--beyond", action="store_true", help="advise peak LRs and replay ratios outside of what was fitted, too"
    )
    return group


def add_law_file(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--law-file", action="append", metavar="FILE.py", help="laws of your own: a file with a list LAWS"
    )


def add_shift(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--shift", choices=SHIFTS, default="free", help="sign of B: + on D_pt, - on D_cpt")


def add_results(parser: argparse.ArgumentParser, file: str = "", what: str = "") -> argparse._ArgumentGroup:
    """Where results go; returns the group of options."""
    group = parser.add_argument_group("results")
    if file:
        group.add_argument("--out", metavar=file, help=what)
    group.add_argument("--plot", metavar="FILE", help="draw it: pdf, png or svg, by the name's ending")
    group.add_argument("--json", action="store_true", help="print JSON")
    return group
