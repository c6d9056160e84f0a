"""A server of files that misbehaves as it is told."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content` at any address, and misbehaves as it is told; notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.fault, self.tag = CONTENT, "", '"1"'
        self.asked: list[tuple[str, str | None]] = []
        self.ended = threading.Event()

    def url(self, name: str = "net.pth") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content, fault, first = self.server.content, self.server.fault, len(self.server.asked) == 1
        if fault == "missing":
            return self.send_error(404)
        begin = int(wanted[6:-1]) if wanted and fault != "no ranges" else 0
        if begin >= len(content):
            return self.send_error(416)
        if self.headers.get("If-Range", self.server.tag) != self.server.tag:
            begin = 0
        body = content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        length = {"claims more": len(body) + 9, "claims less": len(body) - 9}.get(fault, len(body))
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", self.server.tag)
        self.end_headers()
        broken = fault in ("drops", "stalls", "no ranges", "changes") and first
        self.wfile.write(body[: len(body) // 3] if broken or fault == "always drops" else body)
        if broken and fault == "changes":
            self.server.content, self.server.tag = CONTENT[::-1], '"2"'
        if fault == "stalls" and first:
            self.wfile.flush()
            self.server.ended.wait(10)
