"""A Hub on the loopback interface: the part of its API that the client libraries use here, over repositories in memory.

It can also misbehave: see the attributes of `Hub`. Requests are logged.
"""

import contextlib
import fnmatch
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = ("*.parquet", "*.gz", "*.zst", "*.safetensors")  # kept outside git, as on the Hub


@dataclass
class Repository:
    """Commits (identifier -> path -> bytes) and what the branches point to."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: dict[str, bytes], ref: str = "main") -> str:
        """Add a commit and point a branch at it; returns its identifier."""
        digest = hashlib.sha1(repr((sorted(files.items()), len(self.commits))).encode()).hexdigest()
        self.commits[digest] = files
        self.refs[ref] = digest
        return digest


@dataclass
class Hub:
    """State of the server; what it does wrong is switched on by its attributes."""

    repositories: dict[str, Repository] = field(default_factory=dict)  # datasets/owner/name or models/owner/name
    log: list[str] = field(default_factory=list)  # METHOD path [range]
    busy: int = 0  # so many requests are answered with 429
    retry_after: str | None = "0"
    cuts: dict[str, list[int]] = field(default_factory=dict)  # path -> bytes after which its next bodies are cut
    corrupted: dict[str, int] = field(default_factory=dict)  # path -> how many bodies come with a byte changed
    down: bool = False  # connections are closed without an answer
    claims: dict[str, str] = field(default_factory=dict)  # `api`, `resolve` -> commit that answers name instead; `etag`
    tokens: dict[str, bool] = field(default_factory=dict)  # token -> has access to gated repositories
    says: bytes | None = None  # the body of every answer of the API
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def dataset(self, name: str) -> Repository:
        return self.repositories.setdefault(f"datasets/{name}", Repository())

    def model(self, name: str) -> Repository:
        return self.repositories.setdefault(f"models/{name}", Repository())

    def downloads(self, path: str) -> list[str]:
        """The logged requests for the body of a file."""
        return [line for line in self.log if line.startswith("GET ") and f"/{path}" in line and "/resolve/" in line]


@contextlib.contextmanager
def running(hub: Hub | None = None) -> Iterator[Hub]:
    """Serve a hub from a thread of this process."""
    hub = hub or Hub()
    server = ThreadingHTTPServer(("127.0.0.1", hub.port), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(path: str, body: bytes) -> dict[str, Any]:
    """A file as the Hub's tree lists it."""
    git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": git}
    if any(fnmatch.fnmatch(path, pattern) for pattern in LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130}
    return entry


class _Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status, code)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.down:
            self.close_connection = True
            return
        try:
            if "/agent-harnesses" in self.path:  # asked once a day at most, so not in the log
                raise _Refused(404)
            self.hub.log.append(f"{self.command} {unquote(self.path)} {wanted}".strip())
            if self.hub.busy > 0:
                self.hub.busy -= 1
                raise _Refused(429)
            self._answer(body)
        except _Refused as refusal:
            headers = {"X-Error-Code": refusal.code} if refusal.code else {}
            if refusal.message:
                headers["X-Error-Message"] = refusal.message
            if refusal.status == 429 and self.hub.retry_after is not None:
                headers["Retry-After"] = self.hub.retry_after
            self._send(refusal.status, b"{}", headers)

    do_HEAD = do_POST = do_GET

    def _answer(self, body: bytes) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[0] == "api" and self.hub.says is not None:
            self._send(200, self.hub.says, {"Content-Type": "application/json"})
        elif parts[0] == "api":
            self._api(parts[1], parts[2:], body)
        elif parts[0] == "cdn":
            assert not self._token(), "a token was sent to another host"
            self._file("/".join(parts[4:]), self._repository("/".join(parts[1:4])).commits)
        else:
            kind = "datasets" if parts[0] == "datasets" else "models"
            self._resolve(kind, parts[parts[0] == "datasets" :])

    def _api(self, kind: str, parts: list[str], body: bytes) -> None:
        repository = self._repository("/".join([kind, *parts[:2]]))
        match parts[2:]:
            case [] | ["revision", _]:
                commit = self._commit(repository, parts[3] if len(parts) > 2 else "main")
                stated = self.hub.claims.get("api", commit)
                siblings = [{"rfilename": path} for path in repository.commits[commit]]
                name = "/".join(parts[:2])
                self._json(
                    {"id": name, "sha": stated, "siblings": siblings, "cardData": repository.card, "tags": [],
                     "private": False, "gated": "manual" if repository.gated else False, "downloads": 0, "likes": 0}
                )  # fmt: skip
            case ["auth-check"]:
                self._check_access(repository)
                self._json({})
            case ["refs"]:
                refs = [{"name": ref.rpartition("/")[2], "ref": ref, "targetCommit": c}
                        for ref, c in repository.refs.items()]  # fmt: skip
                self._json({"branches": [], "tags": [], "converts": [r for r in refs if "convert" in r["ref"]]})
            case ["tree", revision, *folder]:
                self._tree(repository.commits[self._commit(repository, revision)], "/".join(folder))
            case ["paths-info", revision]:
                held = repository.commits[self._commit(repository, revision)]
                paths = parse_qs(body.decode())["paths"]
                self._json([_entry(path, held[path]) for path in paths if path in held])
            case _:
                raise _Refused(404)

    def _tree(self, held: dict[str, bytes], folder: str) -> None:
        prefix = f"{folder}/" if folder else ""
        below = {path: body for path, body in held.items() if path.startswith(prefix)}
        if not below:
            raise _Refused(404, "EntryNotFound")
        asked = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower()
        entries: list[dict[str, Any]] = []
        folders: set[str] = set()
        for path, body in sorted(below.items()):
            rest = path.removeprefix(prefix).split("/")
            steps = range(1, len(rest)) if asked in ("true", "1") else range(1, min(2, len(rest)))
            folders.update(prefix + "/".join(rest[:depth]) for depth in steps)
            if asked in ("true", "1") or len(rest) == 1:
                entries.append(_entry(path, body))
        self._json([{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders] + entries)

    def _resolve(self, kind: str, parts: list[str]) -> None:
        """A file of a commit: a small one is sent, a large one is elsewhere, as on the Hub."""
        name, revision, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        repository = self._repository(f"{kind}/{name}")
        self._check_access(repository)
        commit = self._commit(repository, revision)
        if path not in repository.commits[commit]:
            raise _Refused(404, "EntryNotFound")
        entry = _entry(path, repository.commits[commit][path])
        headers = {"X-Repo-Commit": self.hub.claims.get("resolve", commit)}
        if "lfs" not in entry:
            self._file(
                f"{commit}/{path}",
                repository.commits,
                {**headers, "ETag": f'"{self.hub.claims.get("etag", entry["oid"])}"'},
            )
            return
        headers["X-Linked-Etag"] = f'"{entry["lfs"]["oid"]}"'
        headers["X-Linked-Size"] = str(entry["size"])
        # another host, as on the Hub, to which no token must be sent
        headers["Location"] = f"http://localhost:{self.hub.port}/cdn/{kind}/{name}/{commit}/{path}"
        self._send(302, b"", headers)

    def _file(self, place: str, commits: dict[str, dict[str, bytes]], headers: dict[str, str] | None = None) -> None:
        commit, _, path = place.partition("/")
        whole = commits[commit][path]
        headers = {"ETag": f'"{_entry(path, whole)["oid"]}"', "Accept-Ranges": "bytes", **(headers or {})}
        start, status = 0, 200
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(whole)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(whole)) - 1}/{len(whole)}"
            status, whole = 206, whole[:end]
        body = whole[start:]
        if self.command == "GET" and body and self.hub.corrupted.get(path, 0) > 0:
            self.hub.corrupted[path] -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        cut = None
        if self.command == "GET" and self.hub.cuts.get(path):
            cut = self.hub.cuts[path].pop(0)
        self._send(status, body, headers, cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _check_access(self, repository: Repository) -> None:
        if repository.gated and not self.hub.tokens.get(self._token()):
            raise _Refused(403 if self._token() else 401, "GatedRepo")

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _repository(self, key: str) -> Repository:
        if self._token() and self._token() not in self.hub.tokens:
            raise _Refused(401, message="Invalid credentials in Authorization header")
        if key not in self.hub.repositories:
            raise _Refused(404 if self._token() else 401, "RepoNotFound")
        return self.hub.repositories[key]

    def _commit(self, repository: Repository, revision: str) -> str:
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            raise _Refused(404, "RevisionNotFound")
        return commit
