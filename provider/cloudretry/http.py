"""One HTTP exchange with a cloud: sent at most once, and exact about whether anything was sent.

That border decides whether a fire may be sent again. It is drawn on the connection itself and not read out of error
texts: until a connection is open (name looked up, TCP connected, proxy tunnel made, TLS shaken hands), a failure is
:class:`~cloudretry.errors.RequestNotSent`; from then on bytes may have left, and it is
:class:`~cloudretry.errors.NoAnswer`.

A kept-alive connection may be closed by the server in the very moment a request is written to it, and nobody can tell
whether it was read. So only what changes nothing shares kept-alive connections; every other request goes over one of
its own.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from http.client import IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from cloudretry import durations
from cloudretry.config import check_url, is_loopback
from cloudretry.errors import ConfigurationError, NoAnswer, RequestNotSent
from cloudretry.version import __version__

__all__ = ["MAX_ANSWER_BYTES", "USER_AGENT", "HttpAnswer", "Transport"]

USER_AGENT = f"pulumi-cloudretry/{__version__}"
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""The longest answer that is read; the longest real one, a page of jobs, is far below a megabyte."""

_CHUNK = 64 * 1024

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (NameResolutionError, "its name cannot be resolved"),
    (ReadTimeoutError, "nothing came for {read}"),
    (TimeoutError, "it did not accept within {connect}"),
    (
        ssl.SSLCertVerificationError,
        "its TLS certificate is not trusted ({cause.verify_message}); if it is the right host, name its CA in caFile",
    ),
    (RemoteDisconnected, "it closed the connection"),
    (IncompleteRead, "it closed the connection in the middle of the answer"),
)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that arrived whole. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Wire(threading.local):
    """Whether the request that this thread is sending has an open connection, so that bytes may have left."""

    is_open = False


_wire = _Wire()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _wire.is_open = True

    def request(self, *args: Any, **kwargs: Any) -> None:
        # A connection out of the pool does not connect again.
        _wire.is_open = self.sock is not None
        super().request(*args, **kwargs)


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _wire.is_open = True

    def request(self, *args: Any, **kwargs: Any) -> None:
        _wire.is_open = self.sock is not None
        super().request(*args, **kwargs)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _ClosingPool(_Pool):
    """Keeps no connection, so each request opens its own."""

    def _put_conn(self, conn: Any) -> None:
        _close(conn)
        super()._put_conn(None)


class _ClosingTlsPool(_TlsPool):
    """The same over TLS."""

    def _put_conn(self, conn: Any) -> None:
        _close(conn)
        super()._put_conn(None)


def _close(conn: HTTPConnection | None) -> None:
    if conn is not None:
        conn.close()


_KEEPING = {"http": _Pool, "https": _TlsPool}
_CLOSING = {"http": _ClosingPool, "https": _ClosingTlsPool}


class _Adapter(HTTPAdapter):
    """requests' own adapter on connections that say when they are open. It never retries."""

    def __init__(self, connections: int, pools: Mapping[str, type[HTTPConnectionPool]]) -> None:
        self._pools = pools
        super().__init__(pool_connections=8, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    def _watch(self, pools: PoolManager) -> PoolManager:
        pools.pool_classes_by_scheme = dict(self._pools)
        return pools


class _Session(requests.Session):
    """A session that takes proxies and the CA bundle from the environment, and nothing else.

    requests' own ``trust_env`` would also put credentials from ``.netrc`` in the place of ours.
    """

    def __init__(
        self, ca_file: str | None, connections: int, pools: Mapping[str, type[HTTPConnectionPool]] = _KEEPING
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = USER_AGENT
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._ca_file = ca_file
        adapter = _Adapter(connections, pools)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return {
            "proxies": proxies or self.proxies_for(str(url)),
            "stream": stream,
            "verify": verify if isinstance(verify, str) else self.trusted(),
            "cert": cert,
        }

    def proxies_for(self, url: str) -> MutableMapping[str, str]:
        if is_loopback(urlsplit(url).hostname):
            return {}
        proxies: MutableMapping[str, str] = get_environ_proxies(url, no_proxy=None)
        return proxies

    def trusted(self) -> str | bool:
        return self._ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


class Transport:
    """Sends requests as they are: no retry, no redirect, no cookie, TLS always verified.

    =================  ==========================================================================
    proxy              ``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``; never for this machine
    certificates       ``caFile``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, else the ``certifi`` package's
    time-outs          to connect; for each read; and the read time-out again for the whole body
    =================  ==========================================================================

    Safe to use from many threads. Time-outs are in seconds.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        ca_file: str | None = None,
        allow_plain_http: bool = False,
        connections: int = 8,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = (connect_timeout, read_timeout)
        self._allow_plain_http = allow_plain_http
        self._max_answer_bytes = max_answer_bytes
        self._monotonic = monotonic
        self._pooled = _Session(ca_file, connections)
        self._closing = _Session(ca_file, connections, _CLOSING)

    @property
    def session(self) -> requests.Session:
        """The pooled session, for libraries that bring requests of their own (tokens)."""
        return self._pooled

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect, and to wait for an answer."""
        return self._timeout

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._pooled.close()
        self._closing.close()

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

        :raises ConfigurationError: the URL or a header cannot be sent, or it is plain HTTP to another machine.
        :raises RequestNotSent: no connection could be made.
        :raises NoAnswer: a connection was open and no whole answer came.
        """
        request = self._prepared(method, url, headers, body)
        if looks or method == "GET":
            return self._exchange(self._pooled, request)
        request.headers["Connection"] = "close"
        return self._exchange(self._closing, request)

    def _prepared(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        for name, value in headers.items():
            # Checked here because requests' own words would quote the value, which may be a secret.
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                raise ConfigurationError(f"The header {name} for {origin} holds a character that no header can")
        try:
            check_url(origin, allow_plain_http=self._allow_plain_http)
            return requests.Request(method, url, headers={"User-Agent": USER_AGENT, **headers}, data=body).prepare()
        except ValueError as error:
            raise ConfigurationError(f"{origin}: {error}") from None

    def _exchange(self, session: _Session, request: requests.PreparedRequest) -> HttpAnswer:
        url = str(request.url)
        _wire.is_open = False
        try:
            response = session.send(
                request,
                stream=True,
                allow_redirects=False,
                timeout=self._timeout,
                verify=session.trusted(),
                proxies=session.proxies_for(url),
            )
            with response:
                body = self._read(response)
        except (requests.RequestException, HTTPError, OSError) as error:
            host = urlsplit(url).netloc
            if _wire.is_open:
                raise NoAnswer(f"{host} gave no answer that can be read: {self.reason(error)}") from None
            raise RequestNotSent(
                f"No connection to {host} could be made, so nothing was sent: {self.reason(error)}"
            ) from None
        return HttpAnswer(response.status_code, CaseInsensitiveDict(response.headers), body)

    def _read(self, response: requests.Response) -> bytes:
        host = urlsplit(response.url).netloc
        deadline = self._monotonic() + self._timeout[1]
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self._max_answer_bytes:
                raise NoAnswer(f"{host} gave an answer of more than {self._max_answer_bytes} bytes")
            if self._monotonic() > deadline:
                raise NoAnswer(f"{host} had not finished its answer after {durations.show(self._timeout[1])}")
        return b"".join(parts)

    def reason(self, error: BaseException) -> str:
        """Why an exchange failed, in a few words; the libraries' own texts repeat URLs and object addresses."""
        causes = list(_causes(error))
        connect, read = map(durations.show, self._timeout)
        for kind, words in _REASONS:
            for cause in causes:
                if isinstance(cause, kind):
                    return words.format(cause=cause, connect=connect, read=read)
        deepest = next((cause for cause in reversed(causes) if getattr(cause, "strerror", None)), causes[-1])
        return str(getattr(deepest, "strerror", None) or deepest or type(deepest).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it came of, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]
