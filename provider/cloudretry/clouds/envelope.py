"""What an HTTP answer of a cloud says: its object, or its error, in whichever envelope it came.

The envelopes differ between services and gateways of one cloud, so both clouds share one reader:

==============================================  ====================================================
Huawei Cloud services, gateway                  ``error_code`` + ``error_msg`` or ``error_message``
older Huawei Cloud services                     ``errorCode`` + ``errorMsg``
Keystone                                        ``error: {code, message}``
Alibaba Cloud, JSON or XML                      ``Code`` + ``Message`` + ``RequestId`` + ``Recommend``
anything else                                   ``code`` + ``message``, by itself or in an object
a proxy, a load balancer                        HTML, plain text, or nothing
==============================================  ====================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any
from xml.etree import ElementTree

from cloudretry.http import HttpAnswer
from cloudretry.model import CloudError, Meaning, Reply

__all__ = ["explain", "read", "retry_after"]

_SERVICE_CODES = ("error_code", "errorCode", "Code")
_CODES = (*_SERVICE_CODES, "code")
_MESSAGES = ("error_msg", "error_message", "errorMsg", "errorMessage", "Message", "message")
_REQUEST_IDS = ("request_id", "requestId", "RequestId")
_REQUEST_ID_HEADERS = ("X-Request-Id", "x-acs-request-id")
_ENVELOPE = frozenset(
    (*_CODES, *_MESSAGES, *_REQUEST_IDS, "error_detail", "encoded_authorization_message", "is_success", "Success")
) | {"HostId", "Recommend", "AccessDeniedDetail"}
"""Under a 2xx status, an object of these alone is an error; beside other fields, a code is a state of that object."""
_NO_ERROR = frozenset({"", "0", "200", "ok", "success", "none", "null"})
_SUCCESS_FLAGS = ("is_success", "Success")
_THROTTLING_STATUSES = frozenset({429, 503})
_EXCERPT = 200

_ENCODED_REASON = (
    ("encoded_authorization_message", "The reason is encoded; decode it with the STS API decode-authorization-message"),
    ("EncodedDiagnosticMessage", "The reason is encoded; decode it with `aliyun ram DecodeDiagnosticMessage`"),
)


def read(
    answer: HttpAnswer,
    *,
    table: Mapping[str, Meaning],
    is_throttling: Callable[[str], bool],
    now: float,
    redact: Callable[[str], str],
) -> Reply:
    """The reply in an answer. ``now`` is seconds since the epoch; ``table`` gives the remedies of gateway codes.

    An error may come under a 2xx status, and a 2xx status without one is a success whatever its body is.
    """
    text = answer.body.decode(errors="replace")
    body = _parsed(text)
    fields = body if isinstance(body, Mapping) else {}
    request_id = _first(fields, _REQUEST_IDS) or _first(answer.headers, _REQUEST_ID_HEADERS)
    error = _error(answer, fields, text, request_id)
    if error is not None:
        text = redact(text)
        error = explain(replace(error, message=redact(error.message), remedy=redact(error.remedy)), table)
        error = replace(error, remedy=f"{error.remedy} {redact(_recommended(fields))}".strip())
    return Reply(
        status=answer.status,
        body=body,
        text=text,
        request_id=request_id,
        retry_after=retry_after(answer.headers, now),
        error=error,
        throttled=error is not None and (answer.status in _THROTTLING_STATUSES or is_throttling(error.code)),
    )


def explain(error: CloudError, table: Mapping[str, Meaning]) -> CloudError:
    """The error with the remedy that the table has for its code; a remedy that it has already stays in front."""
    meaning = table.get(error.code) or table.get(error.code.replace("APIG.", "APIGW.", 1))
    if meaning is None or not meaning.remedy or meaning.remedy in error.remedy:
        return error
    return replace(error, remedy=f"{error.remedy} {meaning.remedy}".strip())


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the cloud wants to be asked again, or ``None`` if it does not say.

    ``Retry-After`` is seconds or a date. ``x-acs-retry-after`` is milliseconds: Alibaba Cloud's own client sleeps
    that many.
    """
    if (milliseconds := headers.get("x-acs-retry-after", "").strip()).isdecimal():
        return int(milliseconds) / 1000
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def _error(answer: HttpAnswer, fields: Mapping[str, Any], text: str, request_id: str) -> CloudError | None:
    if 200 <= answer.status < 300:
        if not _says_no(fields):
            return None
        found = fields
    else:
        found = next((item for item in _envelopes(fields) if _first(item, _CODES) or _first(item, _MESSAGES)), {})
    code = _first(found, _CODES)
    message = _first(found, _MESSAGES)
    return CloudError(
        # Keystone repeats the HTTP status as the code.
        code="" if code == str(answer.status) else code,
        message=message or (_excerpt(text) if code else _unreadable(answer, text)),
        http_status=answer.status,
        request_id=request_id or _first(found, _REQUEST_IDS),
        remedy=_decoding(fields),
    )


def _says_no(fields: Mapping[str, Any]) -> bool:
    """Whether the object of a 2xx answer is an error after all."""
    if any(fields.get(flag) is False for flag in _SUCCESS_FLAGS):
        return True
    return _first(fields, _SERVICE_CODES).lower() not in _NO_ERROR and fields.keys() <= _ENVELOPE


def _envelopes(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield fields
    for value in fields.values():
        if isinstance(value, Mapping):
            yield from _envelopes(value)


def _decoding(fields: Mapping[str, Any]) -> str:
    for envelope in _envelopes(fields):
        for key, how in _ENCODED_REASON:
            if encoded := _first(envelope, (key,)):
                return f"{how}: {encoded}"
    return ""


def _recommended(fields: Mapping[str, Any]) -> str:
    """Alibaba Cloud's own page on this very error; it is behind a sign-in of the account."""
    url = _first(fields, ("Recommend",))
    return f"More: {url}" if url.startswith("https://") and not re.search(r"\s", url) else ""


def _unreadable(answer: HttpAnswer, text: str) -> str:
    if 300 <= answer.status < 400:
        return f"a redirect, which is not followed: {answer.headers.get('Location', 'it names no address')}"
    excerpt = _excerpt(text)
    return f"the answer is not the API's: {excerpt}" if excerpt else "the answer is empty"


def _excerpt(text: str) -> str:
    words = unescape(re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text[: 100 * _EXCERPT]))
    words = " ".join(words.split())
    return words if len(words) <= _EXCERPT else f"{words[:_EXCERPT]}…"


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _parsed_xml(text)


def _parsed_xml(text: str) -> dict[str, Any] | None:
    # No document type: Alibaba Cloud's errors have none, and entities are the one way for XML to do harm here.
    if not text.lstrip().startswith("<") or "<!" in text:
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - see above
    except ElementTree.ParseError:
        return None
    fields = _elements(root)
    return fields if isinstance(fields, dict) and _first(fields, _CODES + _REQUEST_IDS) else None


def _elements(element: ElementTree.Element) -> Any:
    return {child.tag: _elements(child) for child in element} if len(element) else element.text or ""
