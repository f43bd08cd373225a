"""Scripted scrape targets: one HTTP server whose paths behave as a test says.

What a target answers depends on how often the same client has asked it before (told apart
by User-Agent), so that two servers which scrape at different instants get the same
sequence of answers.
"""

import collections
import gzip
import http.server
import socket
import ssl
import threading
import time

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Answer:
    def __init__(self, body: str | bytes = "", status: int = 200, content_type: str | None = TEXT,
                 headers: dict | None = None, gzip_it: bool = False, chunked: bool = False, delay: float = 0,
                 cut: bool = False, reset: bool = False):
        self.body = body.encode() if isinstance(body, str) else body
        self.status = status
        self.content_type = content_type
        self.headers = headers or {}
        self.gzip_it = gzip_it
        self.chunked = chunked
        self.delay = delay
        self.cut = cut  # the connection ends before the body does
        self.reset = reset  # the connection ends without an answer


class Targets:
    """paths[path] is called with (sequence number from 0, request headers) and gives an
    Answer or its body."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self.paths: dict = {}
        self.requests: dict[str, list[dict]] = collections.defaultdict(list)
        self._counts: collections.Counter = collections.Counter()
        self._lock = threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner._answer(self)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # clients that gave up

        from conftest import free_port
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._server = Listener(("127.0.0.1", self.port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def count(self, path: str) -> int:
        with self._lock:
            return len(self.requests[path])

    def _answer(self, request):
        path = request.path.split("?")[0]
        agent = request.headers.get("User-Agent", "").split("/")[0]
        with self._lock:
            number = self._counts[agent, path]
            self._counts[agent, path] += 1
            self.requests[path].append({"time": time.time(), "path": request.path, **dict(request.headers)})
            script = self.paths.get(path)
        answer = script(number, request.headers) if script else Answer("not here\n", 404)
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        if answer.delay:
            time.sleep(answer.delay)
        if answer.reset:
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        body = answer.body
        request.send_response(answer.status)
        if answer.content_type:
            request.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        if answer.gzip_it and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            request.send_header("Content-Encoding", "gzip")
        if answer.chunked:
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            for i in range(0, len(body), 100):
                part = body[i:i + 100]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            request.wfile.write(b"0\r\n\r\n")
            return
        request.send_header("Content-Length", str(len(body) + (1000 if answer.cut else 0)))
        request.end_headers()
        request.wfile.write(body)
        if answer.cut:
            request.close_connection = True
