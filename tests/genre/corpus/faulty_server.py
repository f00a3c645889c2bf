"""A server on 127.0.0.1 that misbehaves as told: for each request one behaviour of a script, the last one for ever."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Handler"], None]


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Behaviour] = [whole(b"")]
        self.requests: list[dict[str, str]] = []
        self.hanging = threading.Event()
        self.sent = 0  # bytes of `endless`

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.tar.gz"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [headers.get("Range") for headers in self.requests]

    def follow(self, *script: Behaviour) -> str:
        """Starts a new script, and returns the address."""
        self.script, self.requests = list(script), []
        return self.url

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what most tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        place = min(len(self.server.requests), len(self.server.script)) - 1
        self.server.script[place](self)
        self.close_connection = True

    def log_message(self, *args) -> None:
        pass

    def begin(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()


def whole(content: bytes, **headers: object) -> Behaviour:
    """Serves everything, whatever range is asked for."""

    def behave(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": len(content)} | {k.replace("_", "-"): v for k, v in headers.items()})
        handler.wfile.write(content)

    return behave


def ranged(content: bytes, *, stop: int | None = None) -> Behaviour:
    """Serves what is asked for, as a good server does; breaks off before byte `stop` of the file."""

    def behave(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked and start >= len(content):
            handler.begin(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0})
            return
        headers: dict[str, object] = {"Content-Length": len(content) - start}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.begin(206 if asked else 200, headers)
        handler.wfile.write(content[start:stop])

    return behave


def chunked(content: bytes, *, stop: int | None = None) -> Behaviour:
    """Serves chunks without telling the size, as GitHub does; breaks off before byte `stop`."""

    def behave(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.begin(200, {"Transfer-Encoding": "chunked"})
        handler.wfile.write(b"%x\r\n" % len(content) + content[:stop])
        if stop is None:
            handler.wfile.write(b"\r\n0\r\n\r\n")

    return behave


def answer(status: int, *, content: bytes = b"no", **headers: object) -> Behaviour:
    """Answers with a status, headers (`_` for `-`) and a short body."""

    def behave(handler: Handler) -> None:
        handler.begin(status, {"Content-Length": len(content)} | {k.replace("_", "-"): v for k, v in headers.items()})
        handler.wfile.write(content)

    return behave


def hang(handler: Handler) -> None:
    """Takes the request and says nothing."""
    handler.server.hanging.wait(30)


def hang_up(handler: Handler) -> None:
    """Closes the connection without an answer."""


def drip(content: bytes, *, stop: int, seconds: float = 0.02) -> Behaviour:
    """Serves up to byte `stop` at once, then 150 bytes one at a time, and hangs up."""

    def behave(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": len(content)})
        handler.wfile.write(content[:stop])
        for place in range(stop, stop + 150):
            if handler.server.hanging.wait(seconds):
                return
            handler.wfile.write(content[place : place + 1])

    return behave


def slow(content: bytes, *, seconds: float) -> Behaviour:
    """Serves everything, after a while."""

    def behave(handler: Handler) -> None:
        time.sleep(seconds)
        whole(content)(handler)

    return behave


def endless(handler: Handler) -> None:
    """Serves zeros without telling a size, and far more than any test takes; not for ever, to spare the disk."""
    handler.begin(200, {})
    handler.server.sent = 0
    for _ in range(1000):
        handler.wfile.write(bytes(65536))
        handler.server.sent += 65536


@contextmanager
def serving() -> Iterator[FaultyServer]:
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hanging.set()
        server.shutdown()
        server.server_close()
        thread.join()
