"""One HTTP exchange with a cloud: sent at most once, and exact about whether anything was sent.

That border decides whether a fire may be sent again, and the code is cut along it: first a connection is opened (name
looked up, TCP connected, proxy tunnel made, TLS shaken hands), and what fails there is
:class:`~cloudretry.errors.RequestNotSent`; only then the request is handed to it, and from there on bytes may have
left, so that what fails is :class:`~cloudretry.errors.NoAnswer`.

A kept-alive connection may be closed by the server in the very moment a request is written to it, and nobody can tell
whether it was read. So only what changes nothing shares kept-alive connections; every other request goes over one of
its own.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, make_headers, parse_url
from urllib3.util.ssl_ import create_urllib3_context

from cloudretry import durations
from cloudretry.bounds import LONGEST_ANSWER
from cloudretry.config import check_url, is_loopback
from cloudretry.errors import ConfigurationError, NoAnswer, RequestNotSent
from cloudretry.version import __version__

__all__ = ["USER_AGENT", "HttpAnswer", "Transport"]

USER_AGENT = f"pulumi-cloudretry/{__version__}"

_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_FAILURES = (OSError, http.client.HTTPException, HTTPError, ValueError)
"""What the libraries raise when the network or the other side fails."""

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "its name cannot be resolved"),
    (UnicodeError, "its name cannot be resolved"),
    (
        ssl.SSLCertVerificationError,
        "its TLS certificate is not trusted ({error.verify_message}); if it is the right host, name its CA in caFile",
    ),
    (http.client.RemoteDisconnected, "it closed the connection"),
    (http.client.IncompleteRead, "it closed the connection in the middle of the answer"),
)
_NOT_HTTP = "what it sent is not what HTTP says"

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_A_PROXY = "write a proxy like http://proxy.example:3128 or http://user:password@proxy.example:3128"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that arrived whole. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Received(io.RawIOBase):
    """What arrives on a connection, byte by byte if it must be, until its deadline."""

    def __init__(self, connection: _Bounded, sock: Any) -> None:
        self._connection = connection
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._connection.left())
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer after its interim ones: the library takes each but ``100 Continue`` for the last word."""

    headers: Any

    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:
            self.headers = None
            super().begin()


class _Bounded:
    """A connection with a deadline for all that arrives on it: a time-out by itself holds for one byte only."""

    deadline = float("inf")
    answer: _Answer | None = None
    forwarded: Mapping[str, str] | None = None
    """What a proxy that passes each request on wants to have with it."""
    proxy: Url | None
    host: str
    port: int

    def left(self) -> float:
        """Seconds until the deadline.

        :raises TimeoutError: it has passed.
        """
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def response_class(self, sock: Any, **options: Any) -> _Answer:
        # The libraries read with what this gives them: a proxy's word on a tunnel, and the answer.
        self.answer = _Answer(_Received(self, sock), **options)  # type: ignore[arg-type]
        return self.answer

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that accepts. All of them share one time-out."""
        failure = OSError("it has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            if self.proxy is None:
                _check_address(self.host, str(address[0]))
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self.left())
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(self.left())
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure


class _Connection(_Bounded, HTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(_Bounded, HTTPSConnection):  # type: ignore[misc]
    pass


class _Origin(NamedTuple):
    """Where a request goes, as far as connections can be shared."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy of the environment; ``headers`` prove to it who asks."""

    scheme: str
    host: str
    port: int
    headers: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> Url:
        return Url(self.scheme, host=self.host, port=self.port)


class Transport:
    """Sends requests as they are: no retry, no redirect, no cookie, TLS always verified.

    =================  ==========================================================================
    proxy              ``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``; never for this machine
    certificates       ``caFile``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, else the ``certifi`` package's
    time-outs          one to connect, through a proxy and TLS handshake; one for the answer, to its last byte
    =================  ==========================================================================

    Safe to use from many threads. Time-outs are in seconds. Looking a name up is not bounded by them.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        ca_file: str | None = None,
        allow_plain_http: bool = False,
        connections: int = 8,
        max_answer_bytes: int = LONGEST_ANSWER,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._ca_file = ca_file
        self._allow_plain_http = allow_plain_http
        self._connections = connections
        self._max_answer_bytes = max_answer_bytes
        self._lock = threading.Lock()
        self._kept: defaultdict[_Origin, list[_Connection | _TlsConnection]] = defaultdict(list)
        weakref.finalize(self, _close_all, self._kept)

    def close(self) -> None:
        """Close the kept-alive connections."""
        with self._lock:
            _close_all(self._kept)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        looks: bool = False,
    ) -> HttpAnswer:
        """Send once and read the whole answer, whatever its status. A redirect is an answer and is not followed.

        A GET, and a POST that only ``looks``, may go over a connection that was kept alive.

        :raises ConfigurationError: the URL or a header cannot be sent, it is plain HTTP to another machine, it is at
            an address where no cloud is, or the environment's proxy or certificates cannot be used.
        :raises RequestNotSent: no connection could be made.
        :raises NoAnswer: a connection was open and no whole answer came.
        """
        origin, target = self._checked(url, headers)
        is_shared = looks or method == "GET"
        connection = (is_shared and self._take(origin)) or self._opened(origin)
        sent = {"User-Agent": USER_AGENT, **headers, **({} if is_shared else {"Connection": "close"})}
        if connection.forwarded is not None:
            target = url
            sent |= connection.forwarded
        connection.deadline = time.monotonic() + self._read_timeout
        connection.timeout = self._read_timeout
        answer = None
        try:
            connection.request(method, target, body=body, headers=sent, preload_content=False)
            answer = self._read(origin, connection.getresponse())
        except _FAILURES as error:
            why = _reason(error, f"it had not given a whole one after {durations.show(self._read_timeout)}")
            raise NoAnswer(f"{_named(origin)} gave no answer that can be read: {why}") from None
        finally:
            self._put_back(origin, connection, keep=is_shared and answer is not None)
        return answer

    def _checked(self, url: str, headers: Mapping[str, str]) -> tuple[_Origin, str]:
        """Where to send it, and what stands in its first line."""
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        for name, value in headers.items():
            # Checked here because the library's own words would quote the value, which may be a secret.
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                raise ConfigurationError(f"The header {name} for {base} holds a character that no header can")
        origin = _origin_of(base, allow_plain_http=self._allow_plain_http)
        return origin, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _take(self, origin: _Origin) -> _Connection | _TlsConnection | None:
        """A connection that was kept alive, and still is as far as this side knows."""
        while True:
            with self._lock:
                if not self._kept[origin]:
                    return None
                connection = self._kept[origin].pop()
            if connection.is_connected:
                return connection
            connection.close()

    def _put_back(self, origin: _Origin, connection: _Connection | _TlsConnection, *, keep: bool) -> None:
        if keep and connection.sock is not None and connection.answer and connection.answer.isclosed():
            with self._lock:
                if len(self._kept[origin]) < self._connections:
                    self._kept[origin].append(connection)
                    return
        if connection.answer is not None:
            # It holds the socket open, by itself.
            connection.answer.close()
        connection.close()

    def _opened(self, origin: _Origin) -> _Connection | _TlsConnection:
        """A new connection on which nothing has been sent yet."""
        proxy = _proxy_for(origin)
        connection = self._made(origin, proxy)
        connection.deadline = time.monotonic() + self._connect_timeout
        try:
            connection.connect()
        except _FAILURES as error:
            connection.close()
            through = f" through the proxy {proxy.url.netloc}" if proxy else ""
            why = _reason(error, f"it did not accept within {durations.show(self._connect_timeout)}")
            raise RequestNotSent(
                f"No connection to {_named(origin)}{through} could be made, so nothing was sent: {why}"
            ) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _made(self, origin: _Origin, proxy: _Proxy | None) -> _Connection | _TlsConnection:
        first = proxy or origin
        url = proxy.url if proxy else None
        made: _Connection | _TlsConnection
        if "https" in (origin.scheme, first.scheme):
            trusted = self._trusted()
            to_proxy = ProxyConfig(trusted, False, None, None)
            made = _TlsConnection(first.host, first.port, proxy=url, proxy_config=to_proxy, ssl_context=trusted)
        else:
            made = _Connection(first.host, first.port, proxy=url)
        if proxy and origin.scheme == "https":
            made.set_tunnel(origin.host, origin.port, headers=proxy.headers, scheme=proxy.scheme)
        elif proxy:
            made.forwarded = proxy.headers
        return made

    def _trusted(self) -> ssl.SSLContext:
        """What is trusted to name a server: certificates of the configuration, the environment or the library."""
        given = {"caFile": self._ca_file} | {name: os.environ.get(name) for name in _CA_VARIABLES}
        name, path = next(((name, path) for name, path in given.items() if path), ("certifi", certifi.where()))
        try:
            return _trusting(path)
        except OSError as error:
            # A file without certificates is an SSLError, whose words speak of the library's source.
            why = "there are none in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(f"{name}: the CA certificates in {path} cannot be used: {why}") from None

    def _read(self, origin: _Origin, response: BaseHTTPResponse) -> HttpAnswer:
        parts: list[bytes] = []
        size = 0
        for part in response.stream(_CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > self._max_answer_bytes:
                raise NoAnswer(f"{_named(origin)} gave an answer of more than {self._max_answer_bytes} bytes")
        return HttpAnswer(response.status, response.headers, b"".join(parts))


def _close_all(kept: dict[_Origin, list[_Connection | _TlsConnection]]) -> None:
    for connections in kept.values():
        for connection in connections:
            connection.close()
    kept.clear()


def _named(origin: _Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


@lru_cache(64)
def _origin_of(base: str, *, allow_plain_http: bool) -> _Origin:
    try:
        check_url(base, allow_plain_http=allow_plain_http)
    except ValueError as error:
        raise ConfigurationError(f"{base}: {error}") from None
    parts = urlsplit(base)
    origin = _Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])
    _check_address(origin.host, origin.host)
    return origin


@lru_cache(256)
def _check_address(host: str, address: str) -> None:
    """Refuse what no cloud has for an address, and a machine's metadata service does. A name passes.

    :raises ConfigurationError: it is a link-local, multicast or unspecified address, in whichever way it is written.
    """
    try:
        found = ip_address(address)
    except ValueError:
        try:
            # As the system's resolver reads it: 2852039166 is an address as well.
            found = ip_address(socket.inet_aton(normalize("NFKC", address)))
        except OSError:
            return
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    for is_so, what in (
        (found.is_link_local, "a link-local"),
        (found.is_multicast, "a multicast"),
        (found.is_unspecified, "an unspecified"),
    ):
        if is_so:
            raise ConfigurationError(
                f"{host} is at {found}, {what} address, where no cloud is: nothing was sent. Check the endpoints, "
                "and what this machine's name service answers."
            )


def _proxy_for(origin: _Origin) -> _Proxy | None:
    """The proxy that the environment names for this origin.

    :raises ConfigurationError: it cannot be used; the text names the variable and never its value.
    """
    if is_loopback(origin.host) or not getproxies():
        return None
    # Its rules for NO_PROXY are the ones that people know; it is slow to load.
    from requests.utils import get_environ_proxies, select_proxy

    url = f"{origin.scheme}://{_named(origin)}"
    found = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not found:
        return None
    names = (f"{origin.scheme}_proxy", f"{origin.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((name for name in names if os.environ.get(name) == found), "The system's proxy setting")
    try:
        proxy = parse_url(found if "://" in found else f"http://{found}")
        headers = make_headers(proxy_basic_auth=unquote(proxy.auth)) if proxy.auth else {}
    except ValueError:
        raise ConfigurationError(f"{name} cannot be read; {_A_PROXY}") from None
    if not proxy.host:
        raise ConfigurationError(f"{name} names no host; {_A_PROXY}")
    if proxy.scheme not in _PORTS:
        raise ConfigurationError(f"{name} names a proxy that speaks neither HTTP nor HTTPS; {_A_PROXY}")
    return _Proxy(proxy.scheme, proxy.host.strip("[]"), proxy.port or _PORTS[proxy.scheme], headers)


@cache
def _trusting(path: str) -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than a request."""
    context = create_urllib3_context()
    context.load_verify_locations(**({"capath": path} if Path(path).is_dir() else {"cafile": path}))
    return context


def _reason(error: BaseException, too_late: str) -> str:
    """Why an exchange failed, in words of our own: the libraries' may repeat what was sent or received."""
    causes = list(_causes(error))
    for kind, words in ((TimeoutError, too_late), *_REASONS):
        for cause in causes:
            if isinstance(cause, kind):
                return words.format(error=cause)
    if refused := re.match(r"Tunnel connection failed: (\d+)", str(error)):
        return f"the proxy makes no tunnel to it (HTTP {refused[1]})"
    return next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), _NOT_HTTP)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
