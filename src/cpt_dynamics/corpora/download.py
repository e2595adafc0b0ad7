"""One file over HTTP: it goes on where an earlier try was cut, and tries again what may go well the next time."""

import contextlib
import re
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError, ProxyError, RequestException
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    TimeoutError,
)
from urllib3.util import Retry

from cpt_dynamics import __version__, files
from cpt_dynamics.errors import UserError, one_line, printable, shown

Say = Callable[[str], None]

TRIES = 8  # in a row without a new byte
TIMEOUT = 60.0  # seconds without an answer or a byte
LONGEST_WAIT = 600.0  # seconds between two tries, even if the server asks for more
CHUNK = 1 << 20
EVERY = 15.0  # seconds between two lines of progress
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another try may go well
REMEDIES = {
    401: "put the credentials that the server asks for into ~/.netrc",
    403: "put the credentials that the server asks for into ~/.netrc, or ask its keeper for access",
    404: "correct the address",
    410: "correct the address",
}


class _Interrupted(Exception):
    """A try that ended early; what it received is kept. `answer` is the server's, if it gave one."""

    def __init__(self, cause: str, answer: requests.Response | None = None) -> None:
        super().__init__(cause)
        self.answer = answer


class _UnknownHost(_Interrupted):
    """No name server knows the host, or none can be asked."""


def tell(line: str) -> None:
    """Print a line of progress, in which the words of a server may be, on stderr at once."""
    print(printable(line), file=sys.stderr, flush=True)


def download(
    url: str,
    path: Path,
    say: Say = tell,
    *,
    headers: Mapping[str, str] | None = None,
    tries: int = TRIES,
    timeout: float = TIMEOUT,
    largest: float = float("inf"),
) -> None:
    """Download `url` to `path`, going on after the bytes that are already there.

    `<path>.json` keeps which version of the file these bytes are of (ETag or date), so that the server sends the rest
    of that version or another one whole. The caller checks the digest of what came.

    Dropped connections, timeouts, 429 and server errors are tried again, after a wait that doubles up to a minute, or
    as long as the server asks for, but 10 minutes at most. Proxies and credentials are taken from the environment and
    ~/.netrc as `requests` does.

    headers : sent with every request; `Authorization` is not sent on to another host
    tries : in a row without a new byte, after which it is given up
    timeout : seconds without an answer or a byte, after which a try ends
    largest : bytes; a larger file is refused

    Anything that another try would not mend, and a last try that failed, raises `UserError`.
    """
    address = shown(url)
    patience = retry = Retry(tries - 1, backoff_factor=1, backoff_max=60, backoff_jitter=1)
    furthest = _size(path)
    while True:
        try:
            _transfer(url, path, say, headers or {}, timeout, largest)
            return
        except _Interrupted as interruption:
            if _size(path) > furthest:
                furthest, retry = _size(path), patience
            elif isinstance(interruption, _UnknownHost) and retry is patience:
                raise _failure(url, interruption, "check the address and the network") from None
            try:
                retry = retry.increment("GET", url, error=interruption)
            except MaxRetryError:
                raise _failure(url, interruption, "check the network") from None
            wait = min(_asked_wait(interruption.answer) or retry.get_backoff_time(), LONGEST_WAIT)
            say(f"{address}: {interruption}; trying again in {wait:.0f} s")
            time.sleep(wait)


def _transfer(url: str, path: Path, say: Say, given: Mapping[str, str], timeout: float, largest: float) -> None:
    """One try."""
    have, version = _size(path), _version(path)
    if have and have == version["bytes"]:
        return
    headers = {"User-Agent": f"cpt-dynamics/{__version__}", **given, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version["validator"]:
            headers["If-Range"] = version["validator"]
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            total = _accept(answer, url, path)
            if (total or 0) > largest:
                raise _failure(url, f"it is larger than {largest:g} bytes", "correct the address")
            _receive(answer, url, path, total, say, largest)
    except ValueError as error:  # of an address, or of one that the server refers to
        raise _failure(url, one_line(error), "correct the address") from None
    except (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, HTTPError) as error:
        raise _interruption(error, url, timeout) from None
    except RequestException as error:
        raise _failure(url, one_line(error), "correct the address") from None


def _accept(answer: requests.Response, url: str, path: Path) -> int | None:
    """Make `path` what the body of the answer continues; returns the size of the whole file where it is known."""
    status, headers, have = answer.status_code, answer.headers, _size(path)
    said = f"{status} {printable(answer.reason or '', 200)}"
    if status in TEMPORARY:
        raise _Interrupted(said, answer)
    if status == 206 and have:
        given = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\*)", headers.get("Content-Range", ""))
        etag = _version(path)["etag"]
        if given and int(given[1]) == have and etag in (None, headers.get("ETag", etag)):
            return int(given[2]) if given[2] != "*" else None
    elif status == 416 and have:
        if headers.get("Content-Range") == f"bytes */{have}":
            return have
    elif status == 200:
        path.unlink(missing_ok=True)
        length = headers.get("Content-Length", "")
        total = int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        etag, date = headers.get("ETag"), headers.get("Last-Modified")
        validator = date if etag is None or etag.startswith("W/") else etag  # a weak one may not stand in If-Range
        files.write_json(_beside(path), {"url": shown(url), "etag": etag, "validator": validator, "bytes": total})
        return total
    else:
        raise _failure(
            url, f"{status} {printable(answer.reason or '', 200)}", REMEDIES.get(status, "correct the address")
        )
    path.unlink()
    raise _Interrupted("the server has another file than before, starting over", answer)


def _receive(answer: requests.Response, url: str, path: Path, total: int | None, say: Say, largest: float) -> None:
    have, address = _size(path), shown(url)
    size = f" of {_megabytes(total)}" if total else ""
    begun = f"going on after {_megabytes(have)}{size}" if have else f"downloading{size.removeprefix(' of')}"
    say(f"{address}: {begun}")
    start = last = time.monotonic()
    got = have
    with open(path, "ab") as handle:
        # read1, because read gives nothing of a chunk that is cut
        while got != total and (chunk := answer.raw.read1(CHUNK, decode_content=False)):
            handle.write(chunk)
            handle.flush()
            got += len(chunk)
            if got > largest:
                raise _failure(url, f"it is larger than {largest:g} bytes", "correct the address")
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                say(f"{address}: {_megabytes(got)}{size}, {_megabytes((got - have) / (last - start))}/s")
    if got < (total or 0):
        raise _Interrupted("the connection was dropped")
    say(f"{address}: {_megabytes(got)} in {time.monotonic() - start:.1f} s")


def _interruption(error: Exception, url: str, timeout: float) -> Exception:
    """What to raise for an error of the connection."""
    links = list(chain(error))
    for link in links:
        if isinstance(link, ssl.SSLCertVerificationError):
            remedy = "check the address, or name a file of your network's certificates in REQUESTS_CA_BUNDLE"
            return _failure(url, f"its certificate is not accepted: {link.verify_message}", remedy)
        if isinstance(link, NameResolutionError):
            return _UnknownHost("its host is unknown, or there is no network")
        if isinstance(link, requests.Timeout | TimeoutError) and not isinstance(link, NewConnectionError):
            return _Interrupted(f"it timed out after {timeout:g} s")
    reasons = [link.strerror for link in links if isinstance(link, OSError) and link.strerror]
    cause = reasons[-1].lower() if reasons else "the connection was dropped"
    return _Interrupted(f"the proxy of the environment: {cause}" if isinstance(error, ProxyError) else cause)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _failure(url: str, cause: object, remedy: str) -> UserError:
    return UserError(f"{shown(url)} cannot be downloaded ({cause}): {remedy}")


def _asked_wait(answer: requests.Response | None) -> float | None:
    """Seconds that the server asks to wait for; None if it does not say."""
    try:
        return None if answer is None else Retry().get_retry_after(answer.raw)
    except InvalidHeader:
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _version(path: Path) -> dict[str, Any]:
    """Which version of the file the bytes in `path` are of."""
    known: dict[str, Any] = {"etag": None, "validator": None, "bytes": None}
    if _size(path) and _beside(path).exists():
        with contextlib.suppress(UserError):  # of what is damaged nothing is known, so that it is downloaded anew
            known |= files.fitting(dict[str, str | int | None], files.read_json(_beside(path)), _beside(path))
    return known


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
