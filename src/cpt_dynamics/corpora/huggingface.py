"""Text data sets of the Hugging Face Hub, read shard by shard at a pinned commit up to a budget.

A shard is one of the files that a data set consists of. Each is downloaded whole and checked against the digest that
the Hub states for it at that commit, and only then streamed with the library `datasets`: what a stream over the network
delivers could not be checked. So a budget costs the shards it needs and no others, one of them on disk at a time.
"""

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from cpt_dynamics import files
from cpt_dynamics.config import HuggingFace
from cpt_dynamics.corpora import cache, hub, parquet, tokenizer
from cpt_dynamics.corpora.download import Say, tell
from cpt_dynamics.errors import UserError, one_line

PART = 1 << 25  # bytes of text after which the work is kept
BATCH = 512  # documents whose tokens are counted at a time
SCHEMA = pa.schema([("text", pa.string())])

Stream = Callable[[Path], Any]  # a downloaded shard -> datasets.IterableDataset


@dataclasses.dataclass
class _Progress:
    """What a run that is cut leaves to the next one, beside the parts: `progress.json`."""

    datasets: str  # version of the library that `stream` is a state of
    shard: int = 0  # the shard that is being read
    stream: dict[str, Any] | None = None  # state of its stream after the last part; None: from its beginning
    parts: int = 0
    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    full: bool = False  # the budget is reached
    files: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # shards read so far


class _Record(BaseModel):
    """What the cache remembers of a data set, as far as it is read."""

    from_: dict[str, Any] = Field(alias="from")
    revision: str
    licence: str
    card: dict[str, Any]
    bytes: int
    full: bool
    files: list[dict[str, Any]]


def fetch(spec: HuggingFace, say: Say = tell) -> Path:
    """The documents of a data set up to its budget, as a parquet file in the cache with a column `text`.

    Documents are in the order of the data set. The one that would cross `maximum_megabytes` (10^6 bytes of UTF-8) or
    `maximum_tokens` (of the texts alone) is left out whole, and everything after it. A null counts as an empty text.

    What is in the cache is not asked for again. A run that is cut goes on after the last part of `PART` bytes of text,
    and in the middle of a shard's download, and gives the same file as one that is not. What cannot be had, such as a
    data set without a pinned revision, raises `UserError`. `say` receives lines of progress.
    """
    return cache.blob(_fetched(spec, say)["sha256"])


def _fetched(spec: HuggingFace, say: Say = tell) -> dict[str, Any]:
    """What the cache remembers of a data set, once it has it."""
    what = f"the data set {spec.repository}"
    if spec.revision is None:
        raise UserError(f"{what} has no revision: pin it first with `cpt-dynamics corpora pin`")
    if kept := cached(spec):
        return kept
    if cache.offline():
        raise cache.absent(what)
    request = _request(spec)
    with cache.partial(f"{spec.repository} at {spec.revision}, request {files.digest(request)[:16]}") as folder:
        record = cached(spec)  # another process may have been faster
        if record is None:
            source = spec.model_dump(include={"repository", "configuration", "split"})
            record = {"from": source, "revision": spec.revision, **_card(spec), **_documents(spec, folder, say)}
            cache.remember(request, record)
    return record


def read(spec: HuggingFace, record: dict[str, Any]) -> Iterator[str]:
    """Yield the documents of `spec`, which are fetched unless they are in the cache.

    `record` receives `from` (repository, configuration, split), `revision`, `licence`, `card`, `files` (path, bytes and
    sha256 of every shard that was read) and `warnings`.
    """
    kept = _fetched(spec)
    path = cache.intact(kept["sha256"])
    ended = [] if kept["full"] else [f"the data set ended before its budget, with {kept['bytes'] / 1e6:.1f} MB of text"]
    record.update({key: kept[key] for key in ("from", "revision", "card", "files")})
    record.update({"licence": spec.licence or kept["licence"], "warnings": ended})
    yield from parquet.texts(path)


def cached(spec: HuggingFace) -> dict[str, Any] | None:
    """What `fetch` has remembered of a data set; None if it is not in the cache."""
    found = cache.find(_request(spec))
    if found is not None:
        what = f"what {cache.root() / 'requests'} has of the data set {spec.repository}"
        files.fitting(_Record, found, what, "delete that folder and fetch again")
    return found


def _request(spec: HuggingFace) -> dict[str, Any]:
    return spec.model_dump(exclude={"licence", "description"})


def _card(spec: HuggingFace) -> dict[str, Any]:
    """Licence and card of the data set at its revision."""
    card = hub.card(spec.repository, str(spec.revision))
    url = hub.page(spec.repository, "dataset")
    named = {key: value for key in ("license_name", "license_link") if (value := getattr(card, key))}
    return {
        "licence": ", ".join(card.license) or "not stated",
        "card": {"title": card.pretty_name or spec.repository, "url": url, **named},
    }


def _documents(spec: HuggingFace, folder: Path, say: Say) -> dict[str, Any]:
    """Fetch the documents with `folder` for work in progress and put them into the cache; returns their counts."""
    progress = _progress(folder)
    if progress.documents:
        say(f"{spec.repository}: going on after {progress.documents:,} documents")
    shards, stream = _shards(spec, folder)
    count = _counter(spec)
    while not progress.full and progress.shard < len(shards):
        path = _shard_place(folder, progress.shard, shards[progress.shard])
        try:
            shard = hub.fetch(spec.repository, shards[progress.shard], str(spec.revision), path, say)
        except UserError as error:
            done = f"{progress.documents:,} documents are kept, the next run goes on after them"
            raise UserError(f"{error}; {done}") from error
        progress.files[progress.shard :] = [shard]
        _read_shard(spec, stream, path, count, folder, progress)
    if not progress.documents:
        cause = "its first document is larger than the budget" if progress.full else "it has none"
        raise UserError(f"the data set {spec.repository} gave no document: {cause}")
    joined = cache.adopt(_join(folder, progress.parts))
    counts = {key: getattr(progress, key) for key in ("documents", "bytes", "full", "datasets", "files")}
    return {"sha256": joined.name, **counts, "tokens": progress.tokens if spec.tokenizer else None}


def _progress(folder: Path) -> _Progress:
    """What an earlier run has left in `folder`, or a new beginning."""
    import datasets  # takes seconds to import

    path = folder / "progress.json"
    if path.exists():
        with contextlib.suppress(UserError):  # what is damaged is begun anew
            kept = files.fitting(_Progress, files.read_json(path), path)
            if kept.datasets == datasets.__version__:
                return kept
        path.unlink()
    return _Progress(datasets.__version__)


def _shards(spec: HuggingFace, folder: Path) -> tuple[list[str], Stream]:
    """Paths of the split's files in the repository, in order, and what opens one that was downloaded."""
    import datasets

    store = str(folder / "datasets")  # its own, since the library falls back on what it finds of other revisions
    if spec.files:

        def opened(path: Path) -> Any:
            named = {spec.split: [path.name]}
            return datasets.load_dataset(
                str(path.parent), data_files=named, split=spec.split, streaming=True, cache_dir=store
            )

        return _matching(spec), opened
    builder = _builder(spec, store)
    hub.check_commit(spec.repository, builder.hash, str(spec.revision))
    declared = builder.info.features

    def streamed(path: Path) -> Any:
        builder.config.data_files = {spec.split: [str(path)]}
        builder.info.features = declared
        return builder.as_streaming_dataset(split=spec.split)

    found = builder.config.data_files
    if spec.split not in found:
        raise UserError(f"the data set {spec.repository} has no split {spec.split!r}, it has {', '.join(found)}")
    prefix = f"hf://datasets/{spec.repository}@{spec.revision}/"
    return [str(path).removeprefix(prefix) for path in found[spec.split]], streamed


def _matching(spec: HuggingFace) -> list[str]:
    """Files of the repository that `files` names; those of one glob in order of name."""
    import huggingface_hub

    prefix = f"datasets/{spec.repository}@{spec.revision}/"
    system = huggingface_hub.HfFileSystem()
    found: dict[str, None] = {}
    for given in spec.files:
        with hub.explained(spec.repository, "dataset"):
            matches = hub.patiently(partial(_glob, system, prefix + given))
        if not matches:
            raise UserError(
                f"the data set {spec.repository} has no file that matches {given!r} at {spec.revision}: correct `files`"
            )
        found.update(dict.fromkeys(match.removeprefix(prefix) for match in sorted(matches)))
    return list(found)


def _glob(system: Any, given: str) -> list[str]:
    if system.isfile(given):  # a name may have brackets
        return [given]
    return [path for path, info in system.glob(given, detail=True).items() if info["type"] == "file"]


def _builder(spec: HuggingFace, store: str) -> Any:
    """What `datasets` makes of the repository: its configurations, and the files of their splits."""
    import datasets
    from datasets.exceptions import DataFilesNotFoundError

    what = f"the data set {spec.repository}"
    named: dict[str, Any] = {"name": spec.configuration, "revision": spec.revision, "cache_dir": store}
    try:
        with hub.explained(spec.repository, "dataset", RuntimeError, FileNotFoundError, ValueError):
            return hub.patiently(lambda: datasets.load_dataset_builder(spec.repository, **named))
    except RuntimeError as error:
        if "scripts are no longer supported" in str(error):
            raise UserError(_script(spec)) from None
        raise UserError(f"{what} cannot be opened ({one_line(error, 200)}): name its files with `files`") from error
    except (DataFilesNotFoundError, FileNotFoundError):
        raise UserError(f"{what} has no files that `datasets` knows how to read: name some with `files`") from None
    except ValueError as error:
        with hub.explained(spec.repository, "dataset"):
            names = datasets.get_dataset_config_names(spec.repository, revision=spec.revision)
        if spec.configuration in names:
            raise UserError(f"{what} cannot be opened ({one_line(error, 200)}): name its files with `files`") from None
        wrong = f"has no configuration {spec.configuration!r}" if spec.configuration else "needs a configuration"
        raise UserError(f"{what} {wrong}, it has {', '.join(names)}") from None


def _script(spec: HuggingFace) -> str:
    name = f"the data set {spec.repository} is a script, which `datasets` no longer runs"
    converted = hub.converted(spec.repository)
    if converted is None:
        return f"{name}: name its text files with `files`, or use another copy of it"
    return (
        f"{name}: set its revision to {converted}, where the Hub keeps it as parquet (refs/convert/parquet), and name"
        " the files there with `files`"
    )


def _shard_place(folder: Path, number: int, path: str) -> Path:
    """Where a shard is downloaded to, after all others are deleted. `datasets` tells the format from the name's end."""
    own = folder / "shards" / f"{number:06}"
    for other in own.parent.glob("*"):
        if other != own:
            shutil.rmtree(other)
    own.mkdir(parents=True, exist_ok=True)
    return own / ("shard_" + re.sub(r"[^\w.-]", "_", path.rpartition("/")[2], flags=re.ASCII)[-100:])


def _counter(spec: HuggingFace) -> Callable[[list[str]], list[int]] | None:
    """What counts the tokens of texts, if the budget is one of tokens."""
    if spec.tokenizer is None:
        return None
    encoder = tokenizer.pretrained(spec.tokenizer, f"tokenizer of the data set {spec.repository}")

    def count(texts: list[str]) -> list[int]:
        batches = (texts[i : i + BATCH] for i in range(0, len(texts), BATCH))
        encoded = (encoder.encode_batch_fast(batch, add_special_tokens=False) for batch in batches)
        return [len(encoding.ids) for batch in encoded for encoding in batch]

    return count


def _read_shard(
    spec: HuggingFace,
    stream: Stream,
    path: Path,
    count: Callable[[list[str]], list[int]] | None,
    folder: Path,
    progress: _Progress,
) -> None:
    """Keep the documents of one shard part by part, until it ends or the budget is reached."""
    for texts, state in _parts(spec, stream, path, progress):
        sizes = [len(text.encode()) for text in texts]
        tokens = count(texts) if count else [0] * len(texts)
        within = _within(spec, progress, sizes, tokens)
        if within:
            with files.atomic(_part(folder, progress.parts)) as temporary:
                pq.write_table(pa.table([texts[:within]], schema=SCHEMA), temporary, compression="zstd")
            progress.parts += 1
        progress.documents += within
        progress.bytes += sum(sizes[:within])
        progress.tokens += sum(tokens[:within])
        progress.full = within < len(texts)
        progress.stream = state
        progress.shard += state is None and not progress.full
        files.write_json(folder / "progress.json", dataclasses.asdict(progress))
        if progress.full:
            return


def _parts(
    spec: HuggingFace, stream: Stream, path: Path, progress: _Progress
) -> Iterator[tuple[list[str], dict[str, Any] | None]]:
    """Texts of a shard part by part, each with the state of the stream after it, None after the last (maybe empty)."""
    where = f"{progress.files[-1]['path']} of the data set {spec.repository}"
    texts: list[str] = []
    size = 0
    try:
        dataset = stream(path)
        # without types in the file, the first row tells which columns there are
        columns = list(dataset.features or next(iter(dataset), {spec.text: None}))
        if spec.text not in columns:
            raise UserError(f"{where} has no column {spec.text!r}, it has {', '.join(columns)}: set `text`")
        dataset = dataset.select_columns([spec.text])
        if progress.stream:
            dataset.load_state_dict(progress.stream)
        for row in dataset:
            text = "" if row[spec.text] is None else row[spec.text]
            if not isinstance(text, str):
                raise UserError(f"{where}: column {spec.text!r} holds {type(text).__name__}, a string is expected")
            text.encode()  # a format may hold half of a surrogate pair
            texts.append(text)
            size += len(text)
            if size >= PART:
                yield texts, dataset.state_dict()
                texts, size = [], 0
    except UserError:
        raise
    except Exception as error:  # of many kinds, by the format of the shard
        raise UserError(
            f"{where} cannot be read ({one_line(error, 200)}): its bytes are those of the Hub, so name other files with"
            " `files`"
        ) from error
    yield texts, None


def _within(spec: HuggingFace, progress: _Progress, sizes: list[int], tokens: list[int]) -> int:
    """How many of the next documents, of these sizes in bytes and tokens, are within the budget."""
    most_bytes = float("inf") if spec.maximum_megabytes is None else spec.maximum_megabytes * 1e6
    most_tokens = float("inf") if spec.maximum_tokens is None else spec.maximum_tokens
    after = zip(accumulate(sizes, initial=progress.bytes), accumulate(tokens, initial=progress.tokens), strict=True)
    return sum(size <= most_bytes and number <= most_tokens for size, number in after) - 1


def _part(folder: Path, number: int) -> Path:
    return folder / "parts" / f"{number:06}.parquet"


def _join(folder: Path, parts: int) -> Path:
    """One file of all parts; a part at a time is in memory."""
    path = folder / "documents.parquet"
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for number in range(parts):
            writer.write_table(pq.ParquetFile(_part(folder, number)).read())
    return path
