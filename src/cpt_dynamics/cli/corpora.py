"""corpora: what the corpora of the configuration download, and the cache that it lies in."""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from cpt_dynamics import config as configuration
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.cli.text import table
from cpt_dynamics.config import Corpus, Git, Http, HuggingFace, Installed, Local, Rule
from cpt_dynamics.corpora import cache, git, http, local
from cpt_dynamics.errors import UserError, printable, shown


def say(line: str) -> None:
    """Print a line, in which the words of a server may be, at once, as a log shows it."""
    print(printable(line), flush=True)


def add_corpora(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    fetch = what.add_parser("fetch", help="download what the corpora and the tokenizer need and the cache lacks")
    fetch.add_argument("corpora", nargs="*", metavar="NAME", help="corpora (default: all that download)")
    verify = what.add_parser("verify", help="read the cache again, and say what is damaged or missing in it")
    listed = what.add_parser("list", help="list the corpora, and what of them is in the cache")
    listed.add_argument("--json", action="store_true", help="print JSON")
    pin = what.add_parser("pin", help="write the present commits of Hub repositories into a configuration file")
    pin.add_argument("file", nargs="?", metavar="FILE", help="the file (default: the last one of --configfile)")
    pin.add_argument("--again", action="store_true", help="look up what is pinned, too, and say what has moved")
    for part in (fetch, verify, listed, pin):
        add_config(part)


def run_corpora(options: argparse.Namespace) -> int:
    kinds = {"fetch": _fetch, "verify": _verify, "list": _list, "pin": _pin}
    return kinds[options.what](options)


class Held(NamedTuple):
    """What the cache has of a corpus: how many of its files, and their bytes."""

    files: int
    needed: int
    bytes: int

    def __str__(self) -> str:
        return "yes" if self.files == self.needed else f"{self.files} of {self.needed} files" if self.files else "no"


def held(spec: Corpus) -> Held | None:
    """What the cache has of a corpus; None for a source that downloads nothing."""
    match spec:
        case Local() if (other := local.chosen(spec)) is not spec:
            return held(other)
        case Http():
            needed = {remote.sha256 for remote in spec.files}
            sizes = [cache.blob(sha256).stat().st_size for sha256 in needed if cache.has(sha256)]
        case HuggingFace():
            from cpt_dynamics.corpora import huggingface  # its library takes seconds to import

            kept = huggingface.cached(spec)
            needed = {"documents"}
            sizes = [cache.blob(kept["sha256"]).stat().st_size] if kept else []
        case Git():
            return _held_of_git(spec)
        case _:
            return None
    return Held(len(sizes), len(needed), sum(sizes))


def _held_of_git(spec: Git) -> Held:
    lacking, size = git.missing(spec), 0
    if lacking is None:
        return Held(0, 1, 0)
    size = sum(path.stat().st_size for path in git.place(spec).rglob("*") if path.is_file())
    number = git.count(spec)
    return Held(number - len(lacking), number, size)


def _fetch(options: argparse.Namespace) -> int:
    config = load_config(options)
    for name in options.corpora or config.corpora:
        if name not in config.corpora:
            raise UserError(f"there is no corpus {name!r} in the configuration: it has {', '.join(config.corpora)}")
        spec = config.corpora[name]
        before = held(spec)
        if before is None:
            if options.corpora:
                say(f"{name}: source `{spec.source}` downloads nothing")
            continue
        say(f"{name}: in the cache before: {before}")
        if before.files < before.needed:
            _download(spec)
    if config.tokenizer.pretrained and not options.corpora:
        from cpt_dynamics.corpora import tokenizer  # its library is not needed for anything else here

        tokenizer.pretrained(config.tokenizer.pretrained)
        say(f"tokenizer: {config.tokenizer.pretrained} is at hand")
    say(f"cache: {cache.root()}")
    return 0


def _download(spec: Corpus) -> None:
    spec = local.chosen(spec) if isinstance(spec, Local) else spec
    if isinstance(spec, Git):
        git.fetch(spec, say)
    if isinstance(spec, Http):
        http.fetch(spec, say)
    if isinstance(spec, HuggingFace):
        from cpt_dynamics.corpora import huggingface

        huggingface.fetch(spec, say)


def _verify(options: argparse.Namespace) -> int:
    config = load_config(options)
    entries = cache.entries()
    damaged = cache.verify()
    for entry in damaged:
        say(f"damaged and deleted: {entry.sha256} ({', '.join(map(_asked, entry.requests)) or 'of unknown origin'})")
    found = {name: held(spec) for name, spec in config.corpora.items()}
    lacking = {name: kept for name, kept in found.items() if kept and kept.files < kept.needed}
    for name, kept in lacking.items():
        say(f"{name}: in the cache: {kept}; `cpt-dynamics corpora fetch {name}` brings it")
    total = sum(entry.bytes for entry in entries) - sum(entry.bytes for entry in damaged)
    say(f"cache: {cache.root()}, {len(entries) - len(damaged)} intact files, {total / 1e6:,.1f} MB")
    return 1 if damaged or lacking else 0


def _asked(request: dict[str, Any]) -> str:
    return shown(str(request.get("url") or request.get("repository") or json.dumps(request)))


def _list(options: argparse.Namespace) -> int:
    rows = [_row(name, spec) for name, spec in load_config(options).corpora.items()]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    head = ["corpus", "source", "in the cache", "MB", "licence", "from"]
    print("\n".join(table(head, map(_cells, rows), left=len(head))))
    return 0


def _row(name: str, spec: Corpus) -> dict[str, Any]:
    """What `list` says of a corpus; `cached` and `bytes` are null in JSON for one that downloads nothing."""
    kept = held(spec)
    licence = "stated by its rule" if isinstance(spec, Rule) else spec.licence or "stated by its card"
    return {
        "corpus": name,
        "source": spec.source,
        "from": _origin(spec),
        "licence": licence,
        "cached": None if kept is None else str(kept),
        "bytes": None if kept is None else kept.bytes,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    size = "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
    return [row["corpus"], row["source"], row["cached"] or "-", size, row["licence"], row["from"]]


def _origin(spec: Corpus) -> str:
    match spec:
        case Installed():
            return f"{spec.kind} of {len(spec.distributions)} distributions"
        case Local() if (other := local.chosen(spec)) is not spec:
            return _origin(other)
        case Local():
            return ", ".join(spec.paths)
        case Git():
            return f"{shown(spec.repository)} at {spec.commit[:12]}"
        case Http():
            return ", ".join(shown(remote.url) for remote in spec.files)
        case HuggingFace():
            parts = [spec.repository, *([spec.configuration] if spec.configuration else []), spec.split]
            return f"{' '.join(parts)} at {spec.revision[:12] if spec.revision else 'no pinned revision'}"
        case Rule():
            return "a rule of your own"


def _pin(options: argparse.Namespace) -> int:
    from cpt_dynamics.corpora import pins

    given = [*options.configfile, *([options.file] if options.file else [])]
    config = configuration.load([*dict.fromkeys(given)])
    lines = pins.pin(Path(given[-1] if given else configuration.DEFAULT), config, options.again)
    for line in lines:
        say(line)
    return 1 if any(pins.FAILED in line for line in lines) else 0
