"""Text in files or archives at fixed addresses, each with the sha256 of what it must be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cpt_dynamics import files
from cpt_dynamics.config import Http, Remote
from cpt_dynamics.corpora import archives, cache
from cpt_dynamics.corpora.download import Say, download, tell
from cpt_dynamics.errors import UserError, shown


def fetch(spec: Http, say: Say = tell) -> list[Path]:
    """All files of a corpus, in the cache; what is not there is downloaded. `say` receives lines of progress.

    A file that cannot be downloaded, or has another digest than stated, raises `UserError`, and so does one that would
    have to be downloaded while `cache.offline()`.
    """
    return [_fetch(remote, say) for remote in spec.files]


def _fetch(remote: Remote, say: Say) -> Path:
    place = cache.blob(remote.sha256)
    if cache.has(remote.sha256):
        return place
    if cache.offline():
        raise cache.absent(shown(remote.url))
    with cache.partial(remote.url, shown(remote.url)) as folder:
        if not cache.has(remote.sha256):  # another process may have fetched it meanwhile
            _into_cache(remote, folder / "file", say)
            request = {"url": shown(remote.url), "sha256": remote.sha256}
            cache.remember(request, {"sha256": remote.sha256, "bytes": place.stat().st_size})
    return place


def _into_cache(remote: Remote, path: Path, say: Say) -> None:
    continued, address = path.exists(), shown(remote.url)
    download(remote.url, path, say)
    try:
        cache.adopt(path, remote.sha256, address)
    except UserError:
        if not continued:
            raise
        # what an earlier run left may be of another version of the file, or damaged by a power failure
        say(f"{address}: what an earlier run left does not fit, starting over")
        download(remote.url, path, say)
        cache.adopt(path, remote.sha256, address)


def read(spec: Http, record: dict[str, Any]) -> Iterator[str]:
    """Yield the documents of `spec`, file by file, those of an archive in the archive's order.

    `record` receives `from` (the addresses, without what may be a secret), `files` (url, bytes and sha256 of each) and
    `warnings`. What `fetch` or `archives.texts` refuses raises `UserError`, and so does a file that was damaged since,
    or copied in part.
    """
    record.update({"from": [shown(remote.url) for remote in spec.files], "files": [], "warnings": []})
    fetch(spec)
    for remote in spec.files:
        path = cache.intact(remote.sha256)
        maximum, name = spec.maximum_gigabytes * 1e9, kind(remote.url)
        yield from archives.texts(path, name, shown(remote.url), spec.members, maximum, spec.text, spec.reader)
        record["files"].append({"url": shown(remote.url), "bytes": path.stat().st_size, "sha256": remote.sha256})


def kind(url: str) -> str:
    """The file name that says what an address holds: its fragment (`...?id=3#texts.tar.gz`), or the end of its path."""
    with files.reading(shown(url), "a valid address", "correct it"):
        parts = urlsplit(url)
    return unquote(parts.fragment or parts.path).rpartition("/")[2]
