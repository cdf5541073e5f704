"""One request to a partner and its answer as typed values: shared by every JSON protocol we speak.

Owns what a failed answer means: a clear no is `PartnerRefused` (`PartnerGone` where the partner
knows no such id), "not now" is `PartnerNotNow`, silence or nonsense is `PartnerUnknown`. Foreign
JSON is read through the small functions below, never trusted by shape.
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from integrations.partner import (
    PartnerError,
    PartnerGone,
    PartnerNotNow,
    PartnerRefused,
    PartnerUnknown,
    PartnerUnreachable,
    clean_text,
)

IN_FLIGHT_WAITS_S = (0.2, 0.4, 0.8)
RETRY_AFTER_MAX_S = 30.0  # one that wants to be left alone for longer is asked sooner
_ID = re.compile(r"(?!\.{1,2}$)[\w.:~-]{1,200}", re.ASCII)


class Unreadable(PartnerUnknown):
    """The answer came but is not what the protocol says, so nobody knows what it means."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="unreadable")


# Method, address, headers and body of a request → the headers that sign it.
Sign = Callable[[str, str, Mapping[str, str], bytes | None], Mapping[str, str]]


class Wire:
    """Requests to one partner at `base_url`. `headers` go with each of them, `key` where it is set.

    `sign` is for protocols whose requests are signed: each try is signed anew.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        key: str,
        headers: Mapping[str, str],
        *,
        sign: Sign | None = None,
    ) -> None:
        self._http = http
        self.base_url = base_url.rstrip("/")
        self._sign = sign
        self._headers = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            "Accept": "application/json",
            "User-Agent": "emptor/0.1",
            **headers,
        }

    async def get(self, path: str) -> Mapping[str, Any]:
        return await self._call("GET", path, None, None)

    async def ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A POST that only reads, such as a search: it has no key."""
        return await self._call("POST", path, body, None)

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Mapping[str, Any]:
        return await self._write("POST", path, body, key)

    async def put(self, path: str, body: Mapping[str, Any], *, key: str) -> Mapping[str, Any]:
        return await self._write("PUT", path, body, key)

    async def _write(
        self, method: str, path: str, body: Mapping[str, Any], key: str
    ) -> Mapping[str, Any]:
        """One write. While the same key is at work at the partner, waits a little and asks again.

        Repeating is safe because the key and the body are the same. A key known with another body
        is `PartnerUnknown`: what the first request did with it is not known here.
        """
        for wait_s in (*IN_FLIGHT_WAITS_S, None):
            try:
                return await self._call(method, path, body, key)
            except PartnerUnknown as error:
                if error.code != "idempotency_in_flight" or wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the loop returns or raises")

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> Mapping[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        headers = {**self._headers, "Timestamp": now}
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers |= {"Idempotency-Key": key, "Request-Id": key}
        if self._sign is not None:
            headers |= self._sign(method, self.base_url + path, headers, content)
        try:
            answer = await self._http.request(
                method, self.base_url + path, content=content, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise PartnerUnreachable("no connection was made", code="unreachable") from error
        except httpx.HTTPError as error:
            raise PartnerUnknown("the answer was lost", code="connection_cut") from error
        if answer.is_success:
            return _object(answer.content)
        raise _failure(answer, self.base_url, asks=key is None)


def _failure(answer: httpx.Response, base_url: str, *, asks: bool) -> PartnerError:
    """The error of a status outside 2xx. The partner's own words are data, cleaned and short.

    `asks`: it only looked. Nobody's key decides what exists, so a 403 is no answer to that.
    """
    try:
        body: Mapping[str, Any] = _object(answer.content)
    except Unreadable:
        body = {}
    code, detail = said_of(body)
    detail = detail or f"the partner answered {answer.status_code}"
    code = code or f"http_{answer.status_code}"
    status = answer.status_code
    if status in (401, 429) or (asks and status == 403):
        return PartnerNotNow(detail, code=code, retry_after_s=_retry_after_s(answer))
    # Neither of the last two says what became of the first request with the key.
    unclear = status == 408 or code in ("idempotency_in_flight", "idempotency_conflict")
    if not 400 <= status < 500 or unclear:
        return PartnerUnknown(detail, code=code)
    on = link_at(body, "continue_url", base_url=base_url)
    kind = PartnerGone if status in (404, 410) else PartnerRefused
    path = text_at(body, "param", 200) or None
    return kind(detail, code=code, continue_url=on, versions=_versions(body), path=path)


def _retry_after_s(answer: httpx.Response) -> float:
    """`Retry-After` in seconds, bounded. Its other form, a date, is left to our own pauses."""
    said = answer.headers.get("retry-after", "").strip()
    if not (said.isascii() and said.isdigit()):
        return 0.0
    return min(float(said[:9]), RETRY_AFTER_MAX_S)


def _versions(body: Mapping[str, Any]) -> tuple[str, ...]:
    listed = body.get("supported_versions")
    return tuple(v for v in listed if isinstance(v, str)) if isinstance(listed, list) else ()


def said_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """An error's code and sentence, of the object itself or its first `messages` or `errors`."""
    listed = [body.get(name) for name in ("messages", "errors")]
    firsts = [found[0] for found in listed if isinstance(found, list) and found]
    for said in (body, *(first for first in firsts if isinstance(first, dict))):
        code = re.sub(r"[^a-z0-9_]", "", clean_text(said.get("code"), 60).lower())
        words = (clean_text(said.get(name), 300) for name in ("message", "content", "detail"))
        detail = next((word for word in words if word), "")
        if code or detail:
            return code, detail
    return "", ""


def _object(content: bytes) -> Mapping[str, Any]:
    """The JSON object in `content`; a key given twice or a NaN makes it unreadable."""
    try:
        value = json.loads(content, object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the answer is not JSON") from error
    if not isinstance(value, dict):
        raise Unreadable("the answer is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice")
    return made


def _never(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def segment(identifier: str) -> str:
    """A partner's id as one path segment. Raises `PartnerGone` for one that could climb."""
    if not _ID.fullmatch(identifier):
        raise PartnerGone("that is not an id this partner can have given", code="not_found")
    return quote(identifier, safe=":~")


def text_at(value: Mapping[str, Any], name: str, limit: int = 500) -> str:
    return clean_text(value.get(name), limit)


def integer_at(value: Mapping[str, Any], name: str) -> int:
    """A whole number (`1.0` counts, as in JSON). Raises `Unreadable` for anything else."""
    found = value.get(name)
    if isinstance(found, float) and math.isfinite(found) and found.is_integer():
        found = int(found)
    if type(found) is not int or abs(found) > 2**53 - 1:
        raise Unreadable(f"{name} is not a whole number")
    return found


def objects_at(value: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects, empty when absent. Raises `Unreadable` for any other shape."""
    found = value.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Unreadable(f"{name} is not a list of objects")
    return found


def object_at(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object, empty when absent or null. Raises `Unreadable` for any other shape."""
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unreadable(f"{name} is not an object")
    return found


def time_at(value: Mapping[str, Any], name: str) -> datetime | None:
    """An RFC 3339 time, None when absent. One without a zone, or none at all, is `Unreadable`."""
    found = value.get(name)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{name} is not a time") from error
    if moment.tzinfo is None:
        raise Unreadable(f"{name} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # an offset can carry it out of every calendar
        raise Unreadable(f"{name} is no year between 1 and 9999 in UTC") from error


def link_at(value: Mapping[str, Any], name: str, *, base_url: str) -> str | None:
    """A web address that a person may be sent to: https, or http on the partner's own host."""
    found = value.get(name)
    if not isinstance(found, str) or len(found) > 2000 or clean_text(found, 2000) != found:
        return None
    try:
        parts = urlsplit(found)
        home = urlsplit(base_url)
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None or "\\" in found:
        return None
    if parts.scheme == "https" or (parts.scheme == "http" and parts.netloc == home.netloc):
        return found
    return None
