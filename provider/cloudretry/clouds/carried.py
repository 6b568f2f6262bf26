"""A session of requests, for libraries that bring requests of their own, on our one way to send."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import BaseAdapter

from cloudretry.http import Transport

__all__ = ["carried_by"]


def carried_by(transport: Transport) -> requests.Session:
    """A session whose requests go over the transport, within its bounds and time-outs.

    It takes no credentials of ``.netrc`` and no cookies, and raises what :meth:`Transport.send` raises.
    """
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(transport))
    return session


class _Adapter(BaseAdapter):
    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answer = self._transport.send(request.method or "", request.url or "", request.headers, body)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response._content = answer.body
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """The transport belongs to whoever made it."""
