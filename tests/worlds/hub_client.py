"""A process that calls the kit as a client of the loopback Hub; started with the variables that libraries read once.

It reads one call a line (JSON) and answers each with a line. Every call runs in a fork of its own: the libraries are
imported once, and a call may end the process it runs in.
"""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import datasets  # noqa: F401  (so that a fork has it already)
import pydantic

from cpt_dynamics import config, files
from cpt_dynamics.corpora import download, huggingface, pins
from cpt_dynamics.errors import UserError

Call = dict[str, Any]


def run(call: Call) -> Any:
    spec = pydantic.TypeAdapter(config.HuggingFace).validate_python(call.get("spec", DUMMY))
    match call["do"]:
        case "fetch":
            return str(huggingface.fetch(spec))
        case "read":
            record: dict[str, Any] = {}
            return list(huggingface.read(spec, record)), record
        case "pin":
            return pins.pin(Path(call["path"]), config.parse(call["config"], "test"), call.get("again", False))
    raise AssertionError(call)


DUMMY = {"source": "huggingface", "repository": "a/b", "maximum_megabytes": 1}


def die_after(writes: int) -> None:
    """Kill this process when the work in progress is written for the n-th time."""
    write = files.write_json
    left = [writes]

    def counting(path: str | Path, value: Any) -> None:
        write(path, value)
        left[0] -= Path(path).name == "progress.json"
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    files.write_json = counting


def child(call: Call, out: int) -> None:
    os.environ.update(call.get("environment", {}))
    huggingface.PART = call.get("part", huggingface.PART)
    download.download.__kwdefaults__.update(tries=2)  # type: ignore[union-attr]
    slept: list[float] = []
    time.sleep = slept.append  # type: ignore[assignment]
    logging.disable()
    if call.get("die_after"):
        die_after(call["die_after"])
    try:
        answer = {"result": run(call), "slept": slept}
    except UserError as error:
        answer = {"error": str(error), "slept": slept}
    os.write(out, (json.dumps(answer) + "\n").encode())


def serve() -> None:
    for line in sys.stdin:
        call = json.loads(line)
        copies = []
        for _ in range(call.get("copies", 1)):
            reader, writer = os.pipe()
            if not (number := os.fork()):
                os.close(reader)
                status = 1
                try:
                    child(call, writer)
                    status = 0
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            os.close(writer)
            copies.append((number, reader))
        answers = []
        for number, reader in copies:
            with os.fdopen(reader) as pipe:
                text = pipe.read()
            _, status = os.waitpid(number, 0)
            code = os.waitstatus_to_exitcode(status)
            answers.append(json.loads(text) if text else {"exit": code})
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    serve()
