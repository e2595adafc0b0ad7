"""The command line: one module a command, imported only when it is called."""

import argparse
import codecs
import contextlib
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cpt_dynamics import __version__
from cpt_dynamics.errors import UserError, lacking, leave, of_system, one_line, printable
from cpt_dynamics.interrupt import at_once

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
    "contrasts": ("contrasts", "say where the planned contrasts stand, from the curves that are there so far"),
    "findings": ("findings", "say which of the paper's claims hold"),
    "agreement": ("agreement", "say how far the scale agrees with others that are released"),
    "report": ("report", "write the generated part of the LaTeX report"),
    "law-paper": ("law_paper", "write the paper on the square-root noise law, from a benchmark"),
    "summary": ("summary", "write summary.json"),
    "release": ("release", "make a folder of released curves, from which the report is made without training"),
    "why": ("why", "say what a target would run, and for which changed input"),
    "bench": ("bench", "measure the speed of training, fits and areas, and what sharing saves"),
    "laws": ("laws", "list the laws, or say what the parameters of one mean"),
    "fit": ("fit", "fit a law to loss logs"),
    "predict": ("predict", "predict the loss under a schedule with a fitted law"),
    "compare": ("compare", "fit laws to some runs and test them on others"),
    "benchmark": ("benchmark", "test every law on frozen splits of public curves and of the kit's own"),
    "recommend": ("recommend", "choose peak LR, replay ratio, checkpoint and length from two fits"),
    "schedule": ("schedule", "optimise the LR schedule of CPT with two fits"),
}
CONFIGFILE = "--configfile"
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
    """Run a command, or without `arguments` the program.

    Returns the exit code: 0, 2 for bad input and 1 where the machine cannot do what is asked, after one line on stderr.
    """
    if arguments is not None:
        return _outcome(list(arguments))
    if (output := _ready()) is None:
        return _say("the output is closed: send it to a file, or to /dev/null", 1)
    try:
        code = _outcome(sys.argv[1:])
    except SystemExit as leaving:  # of argparse, or of `leave`
        code = leaving.code if isinstance(leaving.code, int) else 1
    except OSError:
        if output.error is None:
            raise
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    if output.error is None:
        return code
    if not isinstance(output.error, BrokenPipeError):
        _say(f"the output cannot be written ({output.error.strerror}): send it elsewhere", 1)
    return 1


def _outcome(argv: list[str]) -> int:
    """Run a command, and say in one line what is wrong."""
    try:
        options = _parsed(argv)
        if files := getattr(options, "law_file", None):
            from cpt_dynamics import laws  # needs numpy, so only where it is used

            for file in files:
                laws.load(file)
        run = _function(*options.execute)
        if signal.getsignal(signal.SIGINT) is at_once:  # files may be half written from here on
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return int(run(options) or 0)
    except UserError as error:
        return _say(str(error), 2)
    except ModuleNotFoundError as error:
        if not (said := lacking(error)):
            raise
        return _say(said, 2)
    except BrokenPipeError:
        return 1
    except OSError as error:
        if not (said := of_system(error)):
            raise
        return _say(said, 2)
    except MemoryError as error:
        return _say(f"out of memory ({one_line(error)}): ask for less, or use a larger machine", 1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parsed(argv: list[str]) -> argparse.Namespace:
    """The options of a command; `execute` is the module and the name of its function."""
    parser = argparse.ArgumentParser(prog="cpt-dynamics", description="How continual pre-training behaves.")
    parser.add_argument("--version", action="version", version=f"cpt-dynamics {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
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
            command.set_defaults(execute=(module, f"run_{words}"))
    return parser.parse_args(_spread(argv))


def _spread(argv: list[str]) -> list[str]:
    """`--configfile A.yaml B.yaml FILE` as `--configfile A.yaml --configfile B.yaml FILE`."""
    spread: list[str] = []
    file = False  # whether the word before is a file of the option
    for last, word in zip(["", *argv], argv, strict=False):
        if file and word.endswith((".yaml", ".yml", ".json")):
            spread.append(CONFIGFILE)
        else:
            file = last == CONFIGFILE
        spread.append(word)
    return spread


class _Output(io.FileIO):
    """What is printed to. After an error, which a library may keep to itself, it takes all that comes and drops it."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data) if self.error is None else len(data)
        except OSError as error:
            self.error = error
            raise


def _ready() -> _Output | None:
    """Prepare signals and streams; the output, if it is not closed."""
    signal.signal(signal.SIGINT, at_once)
    signal.signal(signal.SIGTERM, leave)
    codecs.register_error("json", _escaped)
    closed, coding = sys.stdout is None, sys.stdout.encoding if sys.stdout else "utf-8"
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # a file must not take the number of a closed stream
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115
    if closed:
        return None
    output = _Output(1, "w", closefd=False)
    lines = output.isatty() or bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(output), coding, errors="json", line_buffering=lines)
    return output


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that the terminal lacks, spelt as JSON does."""
    import json

    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _say(message: str, code: int) -> int:
    print(f"error: {printable(message)}", file=sys.stderr)
    return code


def _function(module: str, name: str) -> Callable[..., Any]:
    loaded = importlib.import_module(f"cpt_dynamics.cli.{module}")
    function: Callable[..., Any] = getattr(loaded, name.replace("-", "_"))
    return function
