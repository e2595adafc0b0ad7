"""documents, split, tokenizer, tokens: from a source of text to token files."""

import argparse
from pathlib import Path

from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config, Rule
from cpt_dynamics.corpora import documents, tokenizer, tokens
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
        text = documents.part(layout.text(name), part)
        index = tokens.write(text, layout.tokenizer, layout.tokens(name, part))
        print(f"{name}, {part}: {index.count:,} tokens of {index.bytes / max(index.count, 1):.2f} bytes")


def _known(name: str, config: Config) -> str:
    if name not in config.corpora:
        raise UserError(f"there is no corpus {name!r} in the configuration: it has {', '.join(config.corpora)}")
    return name
