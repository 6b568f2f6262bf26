"""A proxy that writes down what it is asked, and forwards nothing."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping

__all__ = ["Proxy"]


class Proxy:
    """A listener on this machine. ``asked`` holds the first line of whatever came."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                owner.asked.append(self.rfile.readline().decode("latin-1").strip())
                self.wfile.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def environment(self) -> Mapping[str, str]:
        """Every variable by which a program can be told of it, and no exception."""
        named = dict.fromkeys(("https_proxy", "http_proxy", "grpc_proxy", "all_proxy"), self.url)
        none = dict.fromkeys(("no_proxy", "no_grpc_proxy"), "localhost")
        return {name: value for key, value in (named | none).items() for name in (key, key.upper())}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
