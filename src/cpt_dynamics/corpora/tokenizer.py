"""The tokenizer of a scale: byte-level BPE trained on its corpora, or a pretrained one."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from cpt_dynamics import config, files
from cpt_dynamics.corpora import parquet
from cpt_dynamics.errors import UserError, one_line

END = "<|endoftext|>"
LARGEST = 10**7  # number of a token; arrays have a place for each number
# names of the token between documents, by frequency of use among published tokenizers
ENDS = (END, "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "<|end▁of▁sentence|>")


def train(settings: config.Tokenizer, train_files: Mapping[str, str | Path], out: str | Path) -> None:
    """Train the tokenizer of a scale, or fetch the pretrained one, and save it as `out` (tokenizer.json).

    Parameters
    ----------
    settings : the section `tokenizer` of the configuration
    train_files : role (`general`, `weak`, `strong`) -> parquet file of training documents; each gives its
        share of `settings.megabytes`, from its beginning, or all that it has
    out : path of tokenizer.json

    The vocabulary begins with `<|endoftext|>` (id 0) and the 256 bytes. Training is deterministic.
    """
    if settings.pretrained:
        tokenizer = pretrained(settings.pretrained)
    else:
        wrong = [role for role in settings.shares if role not in train_files]
        if wrong:
            raise UserError(f"tokenizer.shares: no corpus for {wrong}")
        total = sum(settings.shares.values())
        if total <= 0 or min(settings.shares.values()) < 0:
            raise UserError(f"tokenizer.shares: {settings.shares} must be positive")
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=settings.vocabulary,
            special_tokens=[END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        samples = (
            text
            for role, share in settings.shares.items()
            for text in _sample(train_files[role], settings.megabytes * 1e6 * share / total)
        )
        tokenizer.train_from_iterator(samples, trainer)
        if tokenizer.get_vocab_size() < settings.vocabulary:
            raise UserError(
                f"tokenizer.vocabulary: the text gives only {tokenizer.get_vocab_size()} entries of "
                f"{settings.vocabulary}: lower it or add text"
            )
    with files.atomic(out) as temporary:
        tokenizer.save(str(temporary))


def pretrained(name: str, key: str = "tokenizer.pretrained") -> tokenizers.Tokenizer:
    """A published tokenizer: a folder with tokenizer.json, or a Hub name, optionally `name@revision`.

    What comes from the Hub stays in the cache of its library. `key` is that of the configuration, for errors.
    """
    path = Path(os.path.expanduser(name)) / "tokenizer.json"
    if not path.parent.is_dir():
        import huggingface_hub  # slow to import

        from cpt_dynamics.corpora import hub

        hub.guard()
        repository, _, revision = name.partition("@")
        try:
            path = Path(huggingface_hub.hf_hub_download(repository, "tokenizer.json", revision=revision or None))
        except UserError:
            raise
        except Exception as error:  # of many kinds, also for answers that are none of the Hub's
            raise UserError(
                f"{key}: {name} is no folder here and cannot be fetched from the Hub ({one_line(error, 200)})"
            ) from None
    tokenizer = load(path)
    separator(tokenizer, path)
    return tokenizer


def load(path: str | Path) -> tokenizers.Tokenizer:
    """Read tokenizer.json. Special tokens that occur in text are encoded as the text they are."""
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: train the tokenizer first, or name a folder that has one")
    with files.reading(path, "a tokenizer"):
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        largest = max(tokenizer.get_vocab().values(), default=0)
    if largest > LARGEST:
        raise UserError(f"{path} has a token of number {largest:,}, more than {LARGEST:,}: make it again")
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def separator(tokenizer: tokenizers.Tokenizer, path: str | Path) -> int:
    """Id of the token that separates documents."""
    for name in ENDS:
        number = tokenizer.token_to_id(name)
        if number is not None:
            return int(number)
    raise UserError(f"{path} has no end-of-text token: one of {', '.join(ENDS)} is expected")


def _sample(path: str | Path, size: float) -> Iterator[str]:
    for text in parquet.texts(path):
        if size <= 0:
            return
        size -= len(text.encode())
        yield text
