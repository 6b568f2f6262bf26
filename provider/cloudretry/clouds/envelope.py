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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any
from xml.etree import ElementTree

from cloudretry.bounds import (
    DEEPEST_ANSWER,
    LONGEST_EXCERPT,
    LONGEST_MESSAGE,
    LONGEST_NAME,
    LONGEST_REMEDY,
    LONGEST_RETRY_AFTER,
)
from cloudretry.http import HttpAnswer
from cloudretry.model import CloudError, Meaning, Reply
from cloudretry.text import one_line, said, shortened

__all__ = ["explain", "parsed", "read", "retry_after"]

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

    An error may come under a 2xx status, and a 2xx status without one is a success whatever its body is. All words in
    the reply are without secrets and bounded: a cloud may repeat the request, and at any length.
    """
    body = _kept(parsed(answer), redact)
    excerpt = _excerpt(redact(answer.body.decode(errors="replace")))
    fields = body if isinstance(body, Mapping) else {}
    in_header = redact(said(answer.headers, *_REQUEST_ID_HEADERS, length=LONGEST_REMEDY))
    request_id = said(fields, *_REQUEST_IDS, length=LONGEST_NAME) or shortened(in_header, LONGEST_NAME)
    location = shortened(redact(said(answer.headers, "Location", length=LONGEST_REMEDY)), LONGEST_EXCERPT)
    error = _error(answer.status, fields, excerpt, location, request_id)
    if error is not None:
        error = explain(error, table)
        error = replace(error, remedy=f"{error.remedy} {_recommended(fields)}".strip())
    return Reply(
        status=answer.status,
        body=body,
        excerpt=excerpt,
        request_id=request_id,
        retry_after=retry_after(answer.headers, now),
        error=error,
        throttled=error is not None and (is_throttling(error.code) or _is_turned_away(answer, fields)),
    )


def _is_turned_away(answer: HttpAnswer, fields: Mapping[str, Any]) -> bool:
    """Whether the status says that nothing was done and that it may be sent again.

    A bare 503 does not: it is also what a load balancer says whose connection broke after it had passed the request on.
    """
    if answer.status == 503:
        return bool(said(fields, *_SERVICE_CODES, length=LONGEST_NAME)) or "Retry-After" in answer.headers
    return answer.status == 429


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
    if (milliseconds := _whole(headers.get("x-acs-retry-after", ""))) is not None:
        return min(milliseconds / 1000, LONGEST_RETRY_AFTER)
    value = headers.get("Retry-After", "")
    if (seconds := _whole(value)) is not None:
        return min(seconds, LONGEST_RETRY_AFTER)
    try:
        wanted = parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
    return min(max(0.0, wanted), LONGEST_RETRY_AFTER)


def parsed(answer: HttpAnswer) -> Any:
    """The JSON value in an answer, or the XML error, as it stands; ``None`` if nobody can read it in one way only."""
    text = answer.body.decode("utf-8-sig", errors="replace")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        return value if _is_shallow(value, DEEPEST_ANSWER) else None
    except RecursionError:
        return None
    except ValueError:
        return _parsed_xml(text)


def _whole(text: str) -> float | None:
    digits = text.strip()
    # A longer number is beyond any bound, and may be beyond a float.
    return float(digits[:20]) if re.fullmatch(r"[0-9]+", digits) else None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("an object that says a name twice")
    return fields


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _is_shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)
    return True


def _kept(value: Any, redact: Callable[[str], str]) -> Any:
    """What of an answer goes on from here. Half a surrogate pair, which JSON can spell, is no text."""
    if isinstance(value, dict):
        return {name: _kept(item, redact) for name, item in value.items()}
    if isinstance(value, list):
        return [_kept(item, redact) for item in value]
    if isinstance(value, str):
        return redact(value)[:LONGEST_REMEDY].encode(errors="replace").decode()
    return value


def _error(status: int, fields: Mapping[str, Any], excerpt: str, location: str, request_id: str) -> CloudError | None:
    if 200 <= status < 300:
        if not _says_no(fields):
            return None
        found = fields
    else:
        found = next((item for item in _envelopes(fields) if _code(item) or _message(item)), {})
    code = _code(found)
    return CloudError(
        # Keystone repeats the HTTP status as the code.
        code="" if code == str(status) else code,
        message=_message(found) or (excerpt if code else _unreadable(status, excerpt, location)),
        http_status=status,
        request_id=request_id or said(found, *_REQUEST_IDS, length=LONGEST_NAME),
        remedy=_decoding(fields),
    )


def _code(fields: Mapping[str, Any]) -> str:
    return said(fields, *_CODES, length=LONGEST_NAME)


def _message(fields: Mapping[str, Any]) -> str:
    return said(fields, *_MESSAGES, length=LONGEST_MESSAGE)


def _says_no(fields: Mapping[str, Any]) -> bool:
    """Whether the object of a 2xx answer is an error after all."""
    if any(fields.get(flag) is False for flag in _SUCCESS_FLAGS):
        return True
    return said(fields, *_SERVICE_CODES, length=LONGEST_NAME).lower() not in _NO_ERROR and fields.keys() <= _ENVELOPE


def _envelopes(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield fields
    for value in fields.values():
        if isinstance(value, Mapping):
            yield from _envelopes(value)


def _decoding(fields: Mapping[str, Any]) -> str:
    for envelope in _envelopes(fields):
        for key, how in _ENCODED_REASON:
            if encoded := said(envelope, key, length=LONGEST_REMEDY):
                return f"{how}: {encoded}"
    return ""


def _recommended(fields: Mapping[str, Any]) -> str:
    """Alibaba Cloud's own page on this very error; it is behind a sign-in of the account."""
    url = said(fields, "Recommend", length=LONGEST_MESSAGE)
    return f"More: {url}" if url.startswith("https://") and not re.search(r"\s", url) else ""


def _unreadable(status: int, excerpt: str, location: str) -> str:
    if 300 <= status < 400:
        return f"a redirect, which is not followed: {location or 'it names no address'}"
    return f"the answer is not the API's: {excerpt}" if excerpt else "the answer is empty"


def _excerpt(text: str) -> str:
    """The first words of a page or text. It is cut after secrets were taken out, or a part of one would remain."""
    tags = r"(?is)<(script|style)\b.*?(?:</\1>|\Z)|<[^>]*(?:>|\Z)"
    words = unescape(re.sub(tags, " ", text[: 40 * LONGEST_EXCERPT]))
    return shortened(one_line(words), LONGEST_EXCERPT)


def _parsed_xml(text: str) -> dict[str, Any] | None:
    # No document type: Alibaba Cloud's errors have none, and entities are the one way for XML to do harm here.
    if not text.lstrip().startswith("<") or "<!" in text:
        return None
    try:
        fields = _elements(ElementTree.fromstring(text), DEEPEST_ANSWER)  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError):
        return None
    return fields if isinstance(fields, dict) and (_code(fields) or said(fields, *_REQUEST_IDS, length=1)) else None


def _elements(element: ElementTree.Element, levels: int) -> Any:
    if levels == 0:
        raise ValueError("too many levels")
    return {child.tag: _elements(child, levels - 1) for child in element} if len(element) else element.text or ""
