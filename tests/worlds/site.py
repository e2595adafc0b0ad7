"""A server of files on the loopback interface that can misbehave."""

import contextlib
import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cpt_dynamics.config import Http

TEXTS = ["first document", "second document"]
SMALL = gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode(), mtime=0)


@dataclass
class Answer:
    """How the server departs from a good answer, once."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes of the body, after which the connection is closed
    hold: threading.Event | None = None  # waited for before the connection is closed


@dataclass
class Site:
    """A server on this machine: what it has, how it answers, what it was asked for."""

    content: bytes = SMALL
    etag: str | None = '"1"'
    ranges: bool = True
    conditions: bool = True  # whether If-Range is respected
    length: bool = True
    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)  # headers
    address: str = ""

    def url(self, name: str = "texts.jsonl.gz") -> str:
        return f"{self.address}/{name}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def spec(self, name: str = "texts.jsonl.gz", **changes: Any) -> Http:
        file = {"url": self.url(name), "sha256": self.sha256}
        return Http.model_validate({"source": "http", "files": [file], **changes})

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        site, self.close_connection = self.site, True
        site.asked.append({key.lower(): value for key, value in self.headers.items()})
        answer = site.answers.pop(0) if site.answers else Answer()
        status, body, headers = self._planned()
        if answer.status:
            status, body = answer.status, b"" if answer.status >= 400 else body
        self.send_response(status)
        if site.length:
            headers["Content-Length"] = str(len(body))
        for key, value in (headers | answer.headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body[: answer.cut])
        if answer.hold:
            answer.hold.wait(20)

    def _planned(self) -> tuple[int, bytes, dict[str, str]]:
        site = self.site
        headers = {"ETag": site.etag} if site.etag else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = not site.conditions or self.headers.get("If-Range") in (None, site.etag)
        if not (wanted and site.ranges and same):
            return 200, site.content, headers
        start, size = int(wanted[1]), len(site.content)
        if start >= size:
            return 416, b"", {"Content-Range": f"bytes */{size}"}
        return 206, site.content[start:], {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}


@contextlib.contextmanager
def serving(made: Site) -> Iterator[Site]:
    """Serve it from a thread of this process."""
    handler = type("Handler", (Handler,), {"site": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.address = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()
