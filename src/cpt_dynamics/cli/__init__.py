"""The command line: one module a command, imported only when it is called."""

import argparse
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cpt_dynamics import __version__
from cpt_dynamics.errors import UserError, lacking, leave, of_system, printable

# command -> (module, one line of help), in the order in which data passes through them
COMMANDS = {
    "corpora": ("corpora", "fetch, verify, list or pin what the corpora download"),
    "documents": ("documents", "build the documents of a corpus"),
    "split": ("documents", "split a corpus into training and validation documents"),
    "near-duplicates": ("documents", "compare validation documents with all training documents"),
    "tokenizer": ("documents", "train the tokenizer of the scale"),
    "tokens": ("documents", "encode the documents of a corpus"),
    "public-curves": ("public_curves", "fetch the public curves"),
    "plan": ("plan", "list the branches that train the runs, what sharing saves and what training costs"),
    "train": ("train", "train one branch, or every branch of the plan"),
    "bundle": ("bundle", "pack the plan and its tokens for a machine without a network, or the curves trained there"),
    "unbundle": ("bundle", "take curves that were trained elsewhere as done work"),
    "measured": ("measured", "keep finished branches in a folder that can be committed, or take them from there"),
    "campaign": ("campaign", "train the plan in short slots on a machine that may start empty and has no network"),
    "export": ("export", "write a checkpoint of a run as a Hugging Face model folder"),
    "curves": ("curves", "put the loss curves of runs, or of a figure's runs, together"),
    "analyse": ("analyse", "fit and test what a figure shows"),
    "trial-plan": ("trial_plan", "say which peak LR, replay ratio and potential the fits recommend, as runs to try"),
    "trial-runs": ("trial_runs", "train what is recommended for one of the three"),
    "plot": ("plot", "draw a figure"),
    "findings": ("findings", "say which of the paper's claims hold"),
    "agreement": ("agreement", "say how far the scale agrees with others that are released"),
    "report": ("report", "write the generated part of the LaTeX report"),
    "summary": ("summary", "write summary.json"),
    "release": ("release", "make a folder of released curves, from which the report is made without training"),
    "why": ("why", "say what a target would run, and for which changed input"),
    "bench": ("bench", "measure the speed of training, fits and areas, and what sharing saves"),
    "laws": ("laws", "list the laws, or say what the parameters of one mean"),
    "fit": ("fit", "fit a law to loss logs"),
    "predict": ("predict", "predict the loss under a schedule with a fitted law"),
    "compare": ("compare", "fit laws to some runs and test them on others"),
    "recommend": ("recommend", "choose peak LR, replay ratio, checkpoint and length from two fits"),
    "schedule": ("schedule", "optimise the LR schedule of CPT with two fits"),
}
ARGUMENTS = {
    "laws",
    "fit",
    "predict",
    "compare",
    "recommend",
    "schedule",
}  # commands whose arguments are in `arguments`
# former name -> command, for one release
ALIASES = {"recommendations": "trial-plan", "recommended": "trial-runs"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (0, or 2 for bad input, after one line on stderr)."""
    parser = argparse.ArgumentParser(prog="cpt-dynamics", description="How continual pre-training behaves.")
    parser.add_argument("--version", action="version", version=f"cpt-dynamics {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if arguments is None:  # as a program, not from within one
        signal.signal(signal.SIGTERM, leave)
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        chosen = next((word for word in argv if word in COMMANDS or word in ALIASES), None)
        if chosen in ALIASES:
            argv[argv.index(chosen)], former = ALIASES[chosen], chosen
            chosen = ALIASES[former]
            print(f"cpt-dynamics {former} is now cpt-dynamics {chosen}", file=sys.stderr)
        for name, (module, line) in COMMANDS.items():
            command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
            if name == chosen:  # only the chosen command's module is imported: torch alone takes seconds
                words = name.replace("-", "_")
                _function("arguments" if name in ARGUMENTS else module, f"add_{words}")(command)
                command.set_defaults(execute=lambda options, of=(module, f"run_{words}"): _function(*of)(options))
        options = parser.parse_args(argv)
        if files := getattr(options, "law_file", None):
            from cpt_dynamics import laws  # needs numpy, so only where it is used

            for file in files:
                laws.load(file)
        return int(options.execute(options) or 0)
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not (said := lacking(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        if not (said := of_system(error)):
            raise
        print(f"error: {printable(said)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _function(module: str, name: str) -> Callable[..., Any]:
    loaded = importlib.import_module(f"cpt_dynamics.cli.{module}")
    function: Callable[..., Any] = getattr(loaded, name.replace("-", "_"))
    return function
