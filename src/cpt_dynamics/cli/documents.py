"""documents, split, near-duplicates, tokenizer, tokens: from a source of text to token files."""

import argparse
from pathlib import Path

from cpt_dynamics import experiments, files
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config, Rule
from cpt_dynamics.corpora import documents, near_duplicates, tokenizer, tokens
from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout


def add_documents(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("corpus", help="name of a corpus of the configuration")


add_split = add_tokens = add_documents


def run_documents(options: argparse.Namespace) -> None:
    config = load_config(options)
    spec = config.corpora[_known(options.corpus, config)]
    folder = Layout(config).documents(options.corpus)
    if isinstance(spec, Rule):
        raise UserError(f"corpora.{options.corpus} has source `rule`: a rule of your own writes {folder}")
    source = documents.write(options.corpus, spec, folder)
    print(f"{options.corpus}: {source['documents']:,} documents, {source['bytes'] / 1e6:.1f} MB of text in {folder}")


def run_split(options: argparse.Namespace) -> None:
    config = load_config(options)
    name = _known(options.corpus, config)
    layout = Layout(config)
    documents.check(layout.documents(name))
    earlier: list[str | Path] = [layout.documents(other) for other in config.earlier(name)]
    counts = documents.split(
        name, layout.documents(name), earlier, config.split, layout.text(name), config.validation_only(name)
    )
    training, validation = counts["train"]["documents"], counts["validation"]["documents"]
    print(f"{name}: {training:,} training and {validation:,} validation documents")


def add_near_duplicates(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_near_duplicates(options: argparse.Namespace) -> None:
    config = load_config(options)
    layout = Layout(config)
    names = experiments.load(config).corpora(config)
    parts = {
        part: {name: documents.part(layout.text(name), part) for name in names} for part in ("train", "validation")
    }
    for name, found in near_duplicates.find(parts["validation"], parts["train"]).items():
        files.write_json(layout.near_duplicates(name), found)
        shares = ", ".join(f"{share:.1%} at {level}" for level, share in found["share"].items())
        print(f"{name}: of {found['documents']:,} validation documents {shares} are near-duplicates of training text")


def add_tokenizer(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_tokenizer(options: argparse.Namespace) -> None:
    config = load_config(options)
    layout = Layout(config)
    shares = {} if config.tokenizer.pretrained else config.tokenizer.shares
    roles = {role: documents.part(layout.text(config.corpus_of(role)), "train") for role in shares}
    tokenizer.train(config.tokenizer, roles, layout.tokenizer)
    print(f"tokenizer with {config.tokenizer.vocabulary:,} entries in {layout.tokenizer}")


def run_tokens(options: argparse.Namespace) -> None:
    config = load_config(options)
    name = _known(options.corpus, config)
    layout = Layout(config)
    for part in ("train", "validation"):
        left_out = near_duplicates.left_out(layout.near_duplicates(name), config.split) if part != "train" else set()
        text = documents.part(layout.text(name), part)
        index = tokens.write(text, layout.tokenizer, layout.tokens(name, part), left_out)
        print(f"{name}, {part}: {index.count:,} tokens of {index.bytes / max(index.count, 1):.2f} bytes")


def _known(name: str, config: Config) -> str:
    if name not in config.corpora:
        raise UserError(f"there is no corpus {name!r} in the configuration: it has {', '.join(config.corpora)}")
    return name
