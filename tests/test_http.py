"""The border between "not sent" and "no answer", over real sockets: it decides whether a fire may be sent again."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudretry.clouds.carried import carried_by
from cloudretry.errors import ConfigurationError, NoAnswer, RequestNotSent
from cloudretry.http import USER_AGENT, Transport

Handler = Callable[["Server", socket.socket], object]
"""Serves one connection."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Accepts connections and hands each to the handler, in a thread of its own."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/"

    def read_request(self, connection: socket.socket) -> bool:
        """Take in one whole request. False if the client has closed."""
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return False
            head += part
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n")
        return True

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in [self._accepting, *self._threads])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
                with closing(connection):
                    self._handler(self, connection)
            except OSError:
                return


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(handler: Handler, context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(handler, context))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def transport() -> Iterator[Transport]:
    with closing(Transport(connect_timeout=5, read_timeout=5)) as made:
        yield made


@pytest.fixture(autouse=True)
def no_proxy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def answering(*answers: bytes) -> Handler:
    """Answers the requests of each connection with these, in turn, and then only listens."""

    def handle(server: Server, connection: socket.socket) -> None:
        for answer in answers:
            if not server.read_request(connection):
                return
            connection.sendall(answer)
        while connection.recv(65536):
            pass

    return handle


def dripping(at_once: bytes, in_drops: bytes, *, pause: float = 0.02, reads: bool = True) -> Handler:
    """Answers with one part at once, and with the other again and again until nobody listens."""

    def handle(server: Server, connection: socket.socket) -> None:
        if reads:
            server.read_request(connection)
        connection.sendall(at_once)
        while True:
            connection.sendall(in_drops)
            time.sleep(pause)

    return handle


def tunnelling(port: int) -> Handler:
    """A proxy that carries each tunnel to this port."""

    def handle(server: Server, connection: socket.socket) -> None:
        server.read_request(connection)
        with closing(socket.create_connection(("127.0.0.1", port))) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

            def back() -> None:
                with suppress(OSError):
                    while part := onward.recv(65536):
                        connection.sendall(part)

            returning = threading.Thread(target=back)
            returning.start()
            with suppress(OSError):
                while part := connection.recv(65536):
                    onward.sendall(part)
            onward.shutdown(socket.SHUT_RDWR)
            returning.join(5)

    return handle


def unused_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
    return port


METHODS = pytest.mark.parametrize("method", ["GET", "POST"])


class TestNothingWasSent:
    @METHODS
    def test_when_the_port_is_closed(self, transport: Transport, method: str) -> None:
        with pytest.raises(RequestNotSent, match="nothing was sent: Connection refused"):
            transport.send(method, f"http://127.0.0.1:{unused_port()}/", {}, b"{}")

    def test_when_the_name_cannot_be_resolved(self, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
        def resolve(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(RequestNotSent, match=r"drs\.eu-de\.example could be made.*its name cannot be resolved"):
            transport.send("POST", "https://drs.eu-de.example/v3", {}, b"{}")

    def test_when_nobody_accepts_in_time(self) -> None:
        with (
            closing(socket.socket()) as listener,
            closing(socket.socket()) as first,
            closing(socket.socket()) as second,
            closing(Transport(connect_timeout=0.2, read_timeout=5)) as transport,
        ):
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            with pytest.raises(RequestNotSent, match="did not accept within 200ms"):
                transport.send("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}")

    @METHODS
    def test_when_the_certificate_is_not_trusted(
        self, serve: Serve, transport: Transport, tls: ssl.SSLContext, method: str
    ) -> None:
        server = serve(answering(OK), tls)
        with pytest.raises(RequestNotSent, match=r"certificate is not trusted .*name its CA in caFile"):
            transport.send(method, server.url, {}, b"{}")

    def test_when_the_other_side_does_not_speak_tls(self, serve: Serve, transport: Transport) -> None:
        def refuse(_server: Server, connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        server = serve(refuse)
        with pytest.raises(RequestNotSent, match="nothing was sent"):
            transport.send("POST", f"https://127.0.0.1:{server.port}/", {}, b"{}")

    def test_when_the_other_side_closes_in_the_handshake(self, serve: Serve, transport: Transport) -> None:
        def hang_up(server: Server, connection: socket.socket) -> None:
            connection.recv(10)

        server = serve(hang_up)
        with pytest.raises(RequestNotSent):
            transport.send("POST", f"https://127.0.0.1:{server.port}/", {}, b"{}")

    def test_when_the_proxy_is_not_there(self, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:hidden@127.0.0.1:{unused_port()}")
        with pytest.raises(RequestNotSent) as failed:
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")
        assert "hidden" not in str(failed.value)

    def test_when_the_proxy_makes_no_tunnel(
        self, serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = serve(answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        words = rf"eu-de\.example through the proxy 127\.0\.0\.1:{proxy.port} .*makes no tunnel to it \(HTTP 407\)"
        with pytest.raises(RequestNotSent, match=words):
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")

    @pytest.mark.parametrize("in_drops", [b"HTTP/1.1 200", b"X-Drop: 1\r\n"], ids=["status", "headers"])
    def test_when_the_proxys_word_on_the_tunnel_drips(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, in_drops: bytes
    ) -> None:
        begin = b"HTTP/1.1 200 OK\r\n" if in_drops.startswith(b"X") else b""
        proxy = serve(dripping(begin, in_drops))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with closing(Transport(connect_timeout=0.5)) as transport:
            began = time.monotonic()
            with pytest.raises(RequestNotSent, match="did not accept within 500ms"):
                transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")
            assert time.monotonic() - began < 1.5

    def test_when_the_tls_handshake_drips(self, serve: Serve) -> None:
        # The head of a handshake record that is longer than what comes of it.
        server = serve(dripping(b"\x16\x03\x03\x40\x00", b"\x02", reads=False))
        with closing(Transport(connect_timeout=0.5)) as transport:
            began = time.monotonic()
            with pytest.raises(RequestNotSent, match="did not accept within 500ms"):
                transport.send("POST", f"https://127.0.0.1:{server.port}/", {}, b"{}")
            assert time.monotonic() - began < 1.5

    def test_when_none_of_its_addresses_accepts_they_share_one_time_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with (
            closing(socket.socket()) as listener,
            closing(socket.socket()) as first,
            closing(socket.socket()) as second,
        ):
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(address)
            resolves_to(monkeypatch, *[address[0]] * 5, port=address[1])
            with closing(Transport(connect_timeout=0.3)) as transport:
                began = time.monotonic()
                with pytest.raises(RequestNotSent, match="did not accept within 300ms"):
                    transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")
                assert time.monotonic() - began < 1.2

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("http://someone:hid den@[proxy", "HTTPS_PROXY cannot be read; write a proxy like"),
            ("http://someone:hidden@proxy.example:port", "HTTPS_PROXY cannot be read; write a proxy like"),
            ("http://someone:hidden@", "HTTPS_PROXY names no host; write a proxy like"),
            ("http://", "HTTPS_PROXY names no host; write a proxy like"),
            ("socks5://someone:hidden@proxy.example:1080", "HTTPS_PROXY names a proxy that speaks neither HTTP"),
        ],
    )
    def test_when_the_proxy_of_the_environment_cannot_be_used(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch, value: str, words: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        with pytest.raises(ConfigurationError, match=words) as failed:
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")
        assert "hid" not in str(failed.value)

    @pytest.mark.parametrize("content", [b"", b"no certificate", None], ids=["empty", "something else", "missing"])
    def test_when_the_certificates_of_the_environment_cannot_be_used(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        with pytest.raises(ConfigurationError, match=r"REQUESTS_CA_BUNDLE: the CA certificates in .* cannot be used"):
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str, port: int = 443) -> None:
    """Let each name have these addresses."""

    def resolve(*_: object, **__: object) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


NO_CLOUD = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fe80::a9fe:a9fe",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
]


class TestAddressesWhereNoCloudIs:
    @pytest.mark.parametrize("address", NO_CLOUD)
    def test_a_name_that_resolves_to_one_is_refused_before_anything_is_sent(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        resolves_to(monkeypatch, address)

        def connect(*_: object) -> None:
            raise AssertionError("connected")

        monkeypatch.setattr(socket.socket, "connect", connect)
        with pytest.raises(
            ConfigurationError, match=r"drs\.eu-de\.example is at .* where no cloud is: nothing was sent"
        ):
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")

    @pytest.mark.parametrize(
        "host", [*(f"[{address}]" if ":" in address else address for address in NO_CLOUD), "2852039166", "0xa9fea9fe"]
    )
    @pytest.mark.parametrize("through", ["", "proxy"])
    def test_one_that_is_written_in_the_url_is_refused_through_a_proxy_as_well(
        self, serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, host: str, through: str
    ) -> None:
        proxy = serve(answering(OK))
        if through:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConfigurationError, match="where no cloud is: nothing was sent"):
            transport.send("POST", f"https://{host}/", {}, b"{}")
        assert proxy.connections == 0

    def test_a_proxy_may_be_at_any_address(
        self, serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = serve(answering(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://0.0.0.0:{proxy.port}")
        with pytest.raises(RequestNotSent, match="HTTP 407"):
            transport.send("POST", "https://drs.eu-de.example/", {}, b"{}")


class TestNoAnswerCame:
    @METHODS
    def test_when_the_server_closes_before_it_reads(self, serve: Serve, transport: Transport, method: str) -> None:
        server = serve(lambda _server, _connection: None)
        with pytest.raises(NoAnswer):
            transport.send(method, server.url, {}, b"{}")
        assert server.connections == 1

    @METHODS
    def test_when_the_server_closes_after_it_has_read(self, serve: Serve, transport: Transport, method: str) -> None:
        server = serve(Server.read_request)
        with pytest.raises(NoAnswer, match="it closed the connection"):
            transport.send(method, server.url, {}, b"{}")
        assert len(server.requests) == 1

    @METHODS
    def test_when_the_server_resets_the_connection(self, serve: Serve, transport: Transport, method: str) -> None:
        def reset(server: Server, connection: socket.socket) -> None:
            server.read_request(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        server = serve(reset)
        with pytest.raises(NoAnswer, match="Connection reset by peer"):
            transport.send(method, server.url, {}, b"{}")
        assert server.connections == 1

    def test_when_the_server_closes_while_the_body_is_being_sent(self, serve: Serve, transport: Transport) -> None:
        def close_early(server: Server, connection: socket.socket) -> None:
            connection.recv(100)

        server = serve(close_early)
        with pytest.raises(NoAnswer):
            transport.send("POST", server.url, {}, b"x" * 20_000_000)

    @pytest.mark.parametrize(
        "part",
        [
            b"HTTP/1.1 2",
            b"not http at all\r\n\r\n",
            b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half": ',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        ],
        ids=["half a status line", "not HTTP", "half a body", "half a chunk", "not what it is encoded as"],
    )
    @METHODS
    def test_when_only_a_part_of_the_answer_arrives(
        self, serve: Serve, transport: Transport, method: str, part: bytes
    ) -> None:
        def send_part(server: Server, connection: socket.socket) -> None:
            server.read_request(connection)
            connection.sendall(part)

        server = serve(send_part)
        with pytest.raises(NoAnswer):
            transport.send(method, server.url, {}, b"{}")
        assert server.connections == 1

    @METHODS
    def test_when_the_answer_does_not_begin_in_time(self, serve: Serve, method: str) -> None:
        server = serve(answering())
        with (
            closing(Transport(connect_timeout=5, read_timeout=0.2)) as transport,
            pytest.raises(NoAnswer, match="had not given a whole one after 200ms"),
        ):
            transport.send(method, server.url, {}, b"{}")

    def test_when_the_answer_does_not_go_on(self, serve: Serve) -> None:
        server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"))
        with (
            closing(Transport(connect_timeout=5, read_timeout=0.2)) as transport,
            pytest.raises(NoAnswer, match="had not given a whole one after 200ms"),
        ):
            transport.send("POST", server.url, {}, b"{}")

    @pytest.mark.parametrize("over", ["http", "https"])
    @pytest.mark.parametrize(
        ("at_once", "in_drops"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n"),
            (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"),
        ],
        ids=["body", "chunks", "headers", "one header", "100 Continue", "103 Early Hints"],
    )
    def test_when_the_answer_drips_longer_than_the_read_timeout(
        self, serve: Serve, tls: ssl.SSLContext, ca_file: Path, over: str, at_once: bytes, in_drops: bytes
    ) -> None:
        server = serve(dripping(at_once, in_drops), tls if over == "https" else None)
        with closing(Transport(connect_timeout=5, read_timeout=0.5, ca_file=str(ca_file))) as transport:
            began = time.monotonic()
            with pytest.raises(NoAnswer, match="had not given a whole one after 500ms"):
                transport.send("POST", server.url, {}, b"{}")
            assert 0.5 <= time.monotonic() - began < 1.5

    def test_when_interim_answers_come_as_fast_as_they_can(self, serve: Serve) -> None:
        server = serve(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, pause=0))
        with closing(Transport(read_timeout=0.3)) as transport:
            began = time.monotonic()
            with pytest.raises(NoAnswer, match="had not given a whole one"):
                transport.send("POST", server.url, {}, b"{}")
            assert time.monotonic() - began < 1.3

    def test_when_the_answer_is_too_long(self, serve: Serve) -> None:
        server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001))
        with (
            closing(Transport(max_answer_bytes=1000)) as transport,
            pytest.raises(NoAnswer, match="more than 1000 bytes"),
        ):
            transport.send("POST", server.url, {}, b"{}")

    def test_when_tls_breaks_after_the_handshake(self, serve: Serve, tls: ssl.SSLContext, ca_file: Path) -> None:
        def break_off(server: Server, connection: socket.socket) -> None:
            server.read_request(connection)
            raw = socket.socket(fileno=connection.detach())
            with closing(raw):
                raw.sendall(b"this is no TLS record, and there is more of it than a record's head")

        server = serve(break_off, tls)
        with closing(Transport(ca_file=str(ca_file))) as transport, pytest.raises(NoAnswer):
            transport.send("POST", server.url, {}, b"{}")
        assert len(server.requests) == 1


class TestKeptAliveConnections:
    def test_gets_share_a_connection(self, serve: Serve, transport: Transport) -> None:
        server = serve(answering(OK, OK, OK))
        for _ in range(3):
            assert transport.send("GET", server.url, {}).body == b"{}"
        assert server.connections == 1

    def test_a_post_has_a_connection_of_its_own(self, serve: Serve, transport: Transport) -> None:
        server = serve(answering(OK, OK))
        transport.send("GET", server.url, {})
        transport.send("POST", server.url, {}, b"{}")
        transport.send("POST", server.url, {}, b"{}")
        assert server.connections == 3
        assert [b"Connection: close" in head for head in server.requests] == [False, True, True]

    def test_a_post_that_only_looks_shares_one(self, serve: Serve, transport: Transport) -> None:
        server = serve(answering(OK, OK, OK))
        transport.send("GET", server.url, {})
        for _ in range(2):
            assert transport.send("POST", server.url, {}, b"{}", looks=True).body == b"{}"
        assert server.connections == 1

    def test_one_that_the_server_closed_while_idle_is_not_used_again(self, serve: Serve, transport: Transport) -> None:
        closed = threading.Event()

        def answer_once(server: Server, connection: socket.socket) -> None:
            server.read_request(connection)
            connection.sendall(OK)
            connection.close()
            closed.set()

        server = serve(answer_once)
        transport.send("GET", server.url, {})
        assert closed.wait(5)
        assert transport.send("GET", server.url, {}).status == 200
        assert server.connections == 2

    def test_one_that_dies_under_a_request_gives_no_answer_and_is_not_asked_again(
        self, serve: Serve, transport: Transport
    ) -> None:
        def answer_only_the_first(server: Server, connection: socket.socket) -> None:
            server.read_request(connection)
            connection.sendall(OK)
            server.read_request(connection)

        server = serve(answer_only_the_first)
        transport.send("GET", server.url, {})
        with pytest.raises(NoAnswer, match="it closed the connection"):
            transport.send("GET", server.url, {})
        assert len(server.requests) == 2
        assert server.connections == 1

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_failure_to_connect_after_one_that_died_is_still_not_sent(
        self, serve: Serve, transport: Transport, scheme: str
    ) -> None:
        server = serve(lambda _server, _connection: None)
        with pytest.raises(NoAnswer):
            transport.send("GET", server.url, {})
        with pytest.raises(RequestNotSent):
            transport.send("GET", f"{scheme}://127.0.0.1:{unused_port()}/", {})


class TestWhatIsSent:
    def test_the_request_is_sent_as_it_is(self, serve: Serve, transport: Transport) -> None:
        server = serve(answering(OK))
        transport.send("POST", f"{server.url}a%2Fb?q=x%20y", {"X-One": "1", "Host": "signed.example"}, b'{"a":1}')
        head = server.requests[0].decode()
        assert head.startswith("POST /a%2Fb?q=x%20y HTTP/1.1\r\n")
        for line in ("X-One: 1", "Host: signed.example", f"User-Agent: {USER_AGENT}", "Content-Length: 7"):
            assert f"\r\n{line}\r\n" in head
        assert head.count("Host: ") == 1

    def test_a_redirect_is_not_followed(self, serve: Serve, transport: Transport) -> None:
        elsewhere = serve(answering(OK))
        server = serve(
            answering(f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())
        )
        answer = transport.send("POST", server.url, {"X-Auth-Token": "t"}, b"{}")
        assert (answer.status, answer.headers["location"]) == (307, elsewhere.url)
        assert elsewhere.connections == 0

    def test_an_error_status_is_an_answer(self, serve: Serve, transport: Transport) -> None:
        server = serve(answering(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy"))
        answer = transport.send("POST", server.url, {}, b"{}")
        assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "3", b"busy")

    @pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
    def test_an_interim_answer_is_not_the_answer(self, serve: Serve, transport: Transport, interim: bytes) -> None:
        server = serve(answering(*[b"HTTP/1.1 " + interim + b"\r\nLink: <a>\r\n\r\n" + OK] * 2))
        for _ in range(2):
            answer = transport.send("GET", server.url, {})
            assert (answer.status, answer.body) == (200, b"{}")
        assert server.connections == 1

    def test_no_cookie_and_no_netrc_entry_is_sent(
        self, serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password hidden\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))

        def answer_twice(server: Server, connection: socket.socket) -> None:
            for _ in range(2):
                server.read_request(connection)
                connection.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}")

        server = serve(answer_twice)
        transport.send("GET", server.url, {})
        carried_by(transport).get(server.url)
        assert len(server.requests) == 2
        for head in server.requests:
            assert b"cookie" not in head.lower()
            assert b"authorization" not in head.lower()

    def test_this_machine_is_never_reached_through_a_proxy(
        self, serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
        server = serve(answering(OK, OK))
        assert transport.send("GET", server.url, {}).status == 200
        assert carried_by(transport).get(server.url).status_code == 200

    def test_another_machine_is_reached_through_the_proxy(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        proxy = serve(answering(OK))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with closing(Transport(allow_plain_http=True)) as transport:
            assert transport.send("POST", "http://drs.eu-de.example/v3", {}, b"{}").status == 200
        assert proxy.requests[0].startswith(b"POST http://drs.eu-de.example/v3 HTTP/1.1\r\n")

    def test_a_tunnel_leads_through_a_proxy_that_speaks_tls(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, ca_file: Path
    ) -> None:
        server = serve(answering(OK, OK), tls)
        proxy = serve(tunnelling(server.port), tls)
        monkeypatch.setenv("HTTPS_PROXY", f"https://someone:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.setattr("cloudretry.http.is_loopback", lambda _host: False)
        with closing(Transport(ca_file=str(ca_file))) as transport:
            for method in ("POST", "GET"):
                assert transport.send(method, server.url, {}).body == b"{}"
        head = proxy.requests[0]
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())
        assert b"Basic " + b64encode(b"someone:p@ss") in head
        assert all(b"roxy" not in head for head in server.requests)

    def test_a_certificate_of_the_given_ca_is_trusted(self, serve: Serve, tls: ssl.SSLContext, ca_file: Path) -> None:
        server = serve(answering(OK), tls)
        with closing(Transport(ca_file=str(ca_file))) as transport:
            assert transport.send("POST", server.url, {}, b"{}").status == 200

    def test_plain_http_to_another_machine_is_refused(self, transport: Transport) -> None:
        with pytest.raises(ConfigurationError, match="unencrypted: use https://, or set allowPlainHttp"):
            transport.send("POST", "http://drs.eu-de.example/", {"X-Auth-Token": "t"}, b"{}")

    def test_a_header_that_cannot_be_written_is_named_without_its_value(self, transport: Transport) -> None:
        with pytest.raises(ConfigurationError, match="X-Auth-Token") as refused:
            transport.send("GET", "http://127.0.0.1:1/", {"X-Auth-Token": "hidden\r\nX-Evil: 1"})
        assert "hidden" not in str(refused.value)


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own CA, followed by its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls(ca_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file)
    return context
