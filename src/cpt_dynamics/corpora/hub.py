"""Questions to the Hugging Face Hub: asked again while it is busy, with errors as one line, and verified files."""

import contextlib
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, parse_ratelimit_headers  # type: ignore[attr-defined]
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from cpt_dynamics import files
from cpt_dynamics.config import Commit
from cpt_dynamics.corpora import download
from cpt_dynamics.corpora.download import chain
from cpt_dynamics.errors import UserError, one_line, printable, shown

log = logging.getLogger(__name__)

T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between tries of a question
TIMEOUT = 100.0  # seconds without an answer
LONGEST_WAIT = 600.0  # seconds between two tries, even if the Hub asks for more
MIRROR = "look at HF_ENDPOINT and at proxies, then run again"
CARD = "name another revision, or another copy of it"
TEMPORARY = (408, 429, 500, 502, 503, 504)  # statuses after which another try may go well


Words = Annotated[str, AfterValidator(printable)]


class Answer(BaseModel):
    """What the Hub says of a repository at a revision, as far as it is used."""

    model_config = ConfigDict(from_attributes=True)

    sha: Commit


class Card(BaseModel):
    """Metadata of the card of a data set, as far as they are used."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    license: Annotated[list[Words], BeforeValidator(lambda raw: [raw] if isinstance(raw, str) else raw or [])] = []
    pretty_name: Words | None = None
    license_name: Words | None = None
    license_link: Words | None = None


def guard() -> None:
    """Have the client libraries refuse answers that would lead them to write outside their cache.

    They name the files of their cache by headers of an answer (ETag, X-Repo-Commit), without a look at them. All their
    requests go through clients that this sets up.
    """
    first = huggingface_hub.get_session()
    if refuse_paths in first.event_hooks["response"]:
        return
    hooks = {**first.event_hooks, "response": [*first.event_hooks["response"], refuse_paths]}
    huggingface_hub.set_client_factory(lambda: type(first)(event_hooks=hooks, follow_redirects=True, timeout=None))


def refuse_paths(answer: Any) -> None:
    """Raise `UserError` for an answer about a file whose headers are paths that lead out of a folder."""
    for header in ("X-Linked-Etag", "ETag", "X-Repo-Commit"):
        value = answer.headers.get(header, "").removeprefix("W/").strip('"')
        if answer.request.method == "HEAD" and value:
            files.fitting(files.Inside, value, f"{shown(str(answer.request.url))} ({header})", MIRROR)


class Unreachable(UserError):
    """The Hub could not be asked or did not answer, several times: a later run may succeed."""


def page(repository: str, kind: str) -> str:
    """Address of a repository's page; `kind` is `dataset` or `model`."""
    return f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repository}"


def endpoint() -> str:
    """Address of the Hub, without what may be a secret."""
    return shown(constants.ENDPOINT)


def commit(repository: str, kind: str) -> str:
    """The commit that the branch `main` of a repository is at now."""
    guard()
    api = huggingface_hub.HfApi()
    with explained(repository, kind):
        found = patiently(lambda: api.repo_info(repository, repo_type=kind, timeout=TIMEOUT))
    return files.fitting(Answer, found, page(repository, kind), MIRROR).sha


def card(repository: str, revision: str) -> Card:
    """The card of a data set at a commit, whose files the user has access to.

    An answer from another commit raises `UserError`.
    """
    guard()
    api = huggingface_hub.HfApi()
    with explained(repository, "dataset"):
        info = patiently(lambda: api.dataset_info(repository, revision=revision, timeout=TIMEOUT))
        patiently(lambda: api.auth_check(repository, repo_type="dataset"))  # the card of a gated data set is public
        stated = info.card_data.to_dict() if info.card_data else {}
    check_commit(repository, info.sha, revision)
    return files.fitting(Card, stated, page(repository, "dataset"), CARD)


def converted(repository: str) -> str | None:
    """The commit of the Hub's own conversion of a data set to parquet, if it can be found."""
    with contextlib.suppress(Exception):  # it is only a hint in a message about something else
        refs = huggingface_hub.HfApi().list_repo_refs(repository, repo_type="dataset").converts
        found = next(ref.target_commit for ref in refs if ref.ref == "refs/convert/parquet")
        return files.fitting(Commit, found, repository)
    return None


def fetch(repository: str, path: str, revision: str, target: Path, say: download.Say) -> dict[str, Any]:
    """Download a file of a data set at a commit to `target`, going on after the bytes that are already there.

    The bytes must have the digest that the Hub states for the file at that commit: the sha256 of a large file (LFS,
    Xet), git's own digest of a small one. A file with another one is deleted and downloaded once more from its start;
    after that, and for an answer from another commit, `UserError` is raised.

    Returns `path`, `bytes` and `sha256` of the file.
    """
    with explained(repository, "dataset"):
        url = huggingface_hub.hf_hub_url(repository, path, repo_type="dataset", revision=revision)
        stated = patiently(lambda: huggingface_hub.get_hf_file_metadata(url, timeout=TIMEOUT))
    check_commit(repository, stated.commit_hash, revision)
    digest = stated.etag or "none"
    for _ in range(2):
        download.download(url, target, say, headers=build_hf_headers(), largest=stated.size or math.inf)
        found = files.sha256(target)
        if digest in (found, _git_digest(target)):
            return {"path": path, "bytes": target.stat().st_size, "sha256": found}
        say(f"{path} of {repository} came with a wrong digest: it was deleted")
        target.unlink()
    raise UserError(
        f"{path} of the data set {repository} came twice with another digest than the Hub states ({digest}): it was"
        f" deleted; {MIRROR}"
    )


def _git_digest(path: Path) -> str:
    """The digest by which git knows the content of a file."""
    begun = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: begun).hexdigest()


def check_commit(repository: str, answered: str | None, revision: str) -> None:
    """Refuse an answer for another commit than the one asked for."""
    if answered != revision:
        raise UserError(
            f"{page(repository, 'dataset')} answers for commit {answered} where {revision} is asked for: nothing is"
            " read from it; look at HF_ENDPOINT and at proxies that keep old answers"
        )


def patiently(ask: Callable[[], T]) -> T:
    """The answer of `ask`, which is called again after limits of rate, server errors and lost connections."""
    for wait in WAITS:
        try:
            return ask()
        except Exception as error:
            cause = _temporary(error)
            if cause is None:
                raise
            wait = min(max(wait, _asked_wait(cause)), LONGEST_WAIT)
            log.warning("%s: trying again in %.0f s", printable(str(cause), 200), wait)
            time.sleep(wait)
    return ask()


@contextlib.contextmanager
def explained(repository: str, kind: str, *but: type[Exception]) -> Iterator[None]:
    """Errors of the client libraries become a `UserError`, those that a later run may not meet an `Unreachable`.

    but : kinds of errors that pass where nothing is known of their cause; any other means that an answer is not such as
        the Hub gives
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        _explain(error, repository, kind)
        if but and isinstance(error, but):
            raise
        raise UserError(
            f"{page(repository, kind)} gives an answer that cannot be read ({one_line(error, 200)}): {MIRROR}"
        ) from error


def _explain(error: Exception, repository: str, kind: str) -> None:
    """Raise a `UserError` about an error whose cause is known."""
    what = f"the {'data set' if kind == 'dataset' else kind} {repository}"
    address = page(repository, kind)
    for cause in chain(error):
        status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
        if isinstance(cause, GatedRepoError) and status == 401:
            raise UserError(
                f"{what} is gated and no token was sent: ask for access at {address}, then set HF_TOKEN to a token of"
                " that account"
            ) from error
        if isinstance(cause, GatedRepoError) or status == 403:
            raise UserError(
                f"{what} is gated and the account of HF_TOKEN has no access: ask for it at {address}"
            ) from error
        if isinstance(cause, RevisionNotFoundError):
            raise UserError(
                f"{what} has no such revision (any more, if its history was rewritten): see {address}/commits/main, or"
                " pin what there is now with `cpt-dynamics corpora pin --again`"
            ) from error
        if isinstance(cause, EntryNotFoundError):
            raise UserError(f"{what} lacks a file ({one_line(cause, 200)}): correct `files`") from error
        if isinstance(cause, RepositoryNotFoundError):
            raise UserError(
                f"{what} is unknown to {endpoint()}, or private: correct its name, or set HF_TOKEN to a token"
                " of an account with access"
            ) from error
        if status == 401:
            raise UserError(f"{endpoint()} does not accept the token: set HF_TOKEN to a valid one") from error
        if status == 429:
            raise Unreachable(
                f"{endpoint()} limits the rate of requests (429), after {len(WAITS) + 1} tries: run again"
                " later, with HF_TOKEN set, which raises the limit"
            ) from error
    if passing := _temporary(error):
        raise Unreachable(
            f"{what} cannot be reached ({one_line(passing, 200)}): check the network and run again"
        ) from error


def _temporary(error: BaseException) -> BaseException | None:
    """What of an error and its causes may not happen again the next time."""
    for cause in chain(error):
        if isinstance(cause, HfHubHTTPError):
            return cause if cause.response.status_code in TEMPORARY else None
        # transport errors: huggingface_hub has changed its client and does not name their classes
        transport = type(cause).__module__.partition(".")[0].startswith(("httpx", "httpcore"))
        if transport or isinstance(cause, ConnectionError | LocalEntryNotFoundError):
            return cause
    return None


def _asked_wait(error: BaseException) -> float:
    """Seconds that the Hub asks to wait for, 0 where it does not say."""
    if not isinstance(error, HfHubHTTPError):
        return 0
    if limits := parse_ratelimit_headers(error.response.headers):
        return limits.reset_in_seconds if limits.remaining == 0 else 0
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0
