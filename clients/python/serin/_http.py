"""Operations over HTTP and feeds over Server-Sent Events, sent again while nothing is known of their outcome."""
from __future__ import annotations

import email.utils
import http.client
import json
import math
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple, Union, cast

from ._totals import plain, read_number

Key = Union[None, str, Callable[[], Optional[str]]]
Notice = Callable[[str], None]

PASSING = {"UNAVAILABLE", "RATE_LIMITED"}
# A feed also outlives being cut off, and an internal error of one delivery.
PASSING_FEED = PASSING | {"RESUME_FROM_CURSOR", "INTERNAL_SERVER_ERROR"}
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
# Serin sends a comment every 12 s: a connection without any sign of life for longer is given up.
SILENT_SECONDS = 30.0


class SerinError(Exception):
    """Serin refuses the operation itself: credentials, rights, a document it cannot read."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SerinUnavailable(Exception):
    """No node answered within the time that the caller gave. Whether the operation was done is not known."""


class FeedRefused(SerinError):
    """The feed cannot continue: Serin refuses the subscription itself, and would do so again."""


class Again(Exception):
    """A try that failed in a way that passes."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Backoff:
    """Doubles from 0.1 s to 10 s; each wait is between half of that and the whole."""

    def __init__(self) -> None:
        self._wait = 0.1

    def next(self) -> float:
        now, self._wait = self._wait, min(self._wait * 2, 10.0)
        return now * (0.5 + random.random() / 2)

    def reset(self) -> None:
        self._wait = 0.1


class Http:
    """Where Serin is and who the caller is."""

    def __init__(
        self,
        url: Union[str, Sequence[str]],
        key: Key,
        actor: Optional[str],
        timeout: float,
        retry_for: float,
        notice: Notice,
    ) -> None:
        urls = [url] if isinstance(url, str) else list(url)
        if not urls:
            raise ValueError("url must name at least one address")
        self.addresses = [address(one) for one in urls]
        self.timeout, self.retry_for, self.notice = timeout, retry_for, notice
        self._key, self._actor = key, actor
        self._turn = 0
        self._written: Tuple[int, int] = (0, 0)

    def open(self, body: Mapping[str, Any], accept: str, timeout: float) -> http.client.HTTPResponse:
        """Sends one request to the node whose turn it is. Raises Again where no answer begins."""
        headers = {"content-type": "application/json", "accept": accept}
        if self._written > (0, 0):
            # Where Serin reads lists from a replica, it answers from there only once the replica has what was written.
            headers["serin-position"] = "%X/%X" % self._written
        asked = self._turn
        target = self.addresses[asked % len(self.addresses)]
        request = urllib.request.Request(target, json.dumps(body).encode(), headers)
        for name, value in self._credentials().items():
            # Not sent on to where an answer redirects to: it may be another host.
            request.add_unredirected_header(name, value)
        try:
            return urllib.request.urlopen(request, timeout=timeout)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            # An answer that says what is wrong, in its body.
            return error  # type: ignore[return-value]
        except (OSError, http.client.HTTPException) as error:
            self._give_up(asked)
            raise Again(f"{target} cannot be reached: {getattr(error, 'reason', error)}") from error

    def _give_up(self, asked: int) -> None:
        """Turns to the next node, once for all that were on their way to this one: two that fail must not come back to it."""
        if self._turn == asked:
            self._turn = asked + 1

    def _credentials(self) -> Dict[str, str]:
        """The headers that name the caller."""
        try:
            key = self._key() if callable(self._key) else self._key
        except Exception as error:
            # Its token cannot be had at the moment: asked again, like a node that does not answer.
            raise Again(f"the function for the key failed: {error!r}") from error
        # A key that was read from a file ends with a line break.
        key = (key or "").strip()
        if key:
            check_header(key, "key", "UNAUTHENTICATED")
        if self._actor:
            check_header(self._actor, "actor", "BAD_REQUEST")
        return {**({"authorization": f"Bearer {key}"} if key else {}), **({"x-serin-actor": self._actor} if self._actor else {})}

    def attempt(self, query: str, variables: Mapping[str, Any], within: Optional[float] = None) -> Any:
        """One try. Raises Again when the outcome is not known or it may be sent again.

        within: seconds, where it may take less than any request.
        """
        timeout = self.timeout if within is None else min(within, self.timeout)
        variables = sendable(variables)
        for last in (not callable(self._key), True):
            asked = self._turn
            try:
                with self.open({"query": query, "variables": variables}, "application/json", timeout) as response:
                    status, after = response.status, retry_after(response.headers.get("retry-after"))
                    # Answers of several threads may come in another order than they were made.
                    self._written = max(self._written, position(response.headers.get("serin-position")))
                    text = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._give_up(asked)
                raise Again(f"the answer was cut off: {error}") from error
            try:
                answer = as_object(json.loads(text))
                errors: Sequence[Mapping[str, Any]] = answer.get("errors") or []
                if not errors and "data" not in answer:
                    raise ValueError
            except ValueError:
                if status in PASSING_STATUS:
                    self._give_up(asked)
                    raise Again(f"HTTP {status} without an answer", after) from None
                raise SerinError(f"HTTP {status} without a GraphQL answer: is this the address of a Serin?", "NOT_SERIN") from None
            if not errors:
                return answer["data"]
            code = code_of(errors)
            # A function is asked once more: the token may have expired on the way.
            if code == "UNAUTHENTICATED" and not last:
                continue
            message = "; ".join(str(error["message"]) for error in errors)
            if code in PASSING:
                self._give_up(asked)
                raise Again(message, after)
            raise SerinError(message, code)
        raise AssertionError("not reached")

    def send(self, query: str, variables: Mapping[str, Any], retry_for: Optional[float] = None) -> Any:
        """Sends an operation until it is answered."""
        until = time.monotonic() + (self.retry_for if retry_for is None else retry_for)
        backoff = Backoff()
        while True:
            try:
                return self.attempt(query, variables)
            except Again as error:
                wait = max(error.after, backoff.next())
                if time.monotonic() + wait > until:
                    raise SerinUnavailable(f"Serin does not answer: {error}") from error
                self.notice(f"{error}; trying again in {wait:.1f} s")
                time.sleep(wait)

    def subscribe(self, query: str, variables: Mapping[str, Any]) -> Iterator[Any]:
        """What one connection of a feed delivers; ends or raises Again with it."""
        asked = self._turn
        try:
            with self.open({"query": query, "variables": variables}, "text/event-stream", SILENT_SECONDS) as stream:
                if not (stream.headers.get("content-type") or "").startswith("text/event-stream"):
                    self._give_up(asked)
                    raise refusal(stream.status, stream.read())
                event = ""
                for line in stream:
                    text = line.decode().rstrip("\r\n")
                    if text.startswith("event:"):
                        event = text[6:].strip()
                    elif text.startswith("data:") and event == "next":
                        result = json.loads(text[5:])
                        if result.get("errors"):
                            raise feed_error(result["errors"])
                        yield next(iter(result["data"].values()))
                    elif event == "complete":
                        break
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._give_up(asked)
            raise Again(f"the feed broke: {error}") from error
        raise Again("the feed was ended by the server")

    def follow(
        self, query: str, variables: Callable[[], Mapping[str, Any]], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Any]:
        """Connects again and again, with the variables of the moment, until it is stopped or refused."""
        backoff, may_renew = Backoff(), callable(self._key)
        while not stopped():
            try:
                for delivery in self.subscribe(query, variables()):
                    backoff.reset()
                    may_renew = callable(self._key)
                    yield delivery
                    if stopped():
                        return
            except SerinError as error:
                if error.code != "UNAUTHENTICATED" or not may_renew:
                    raise as_refused(error) from None
                may_renew = False
            except Again as error:
                if stopped():
                    return
                wait = max(error.after, backoff.next())
                self.notice(f"{error}; resumed in {wait:.1f} s")
                time.sleep(wait)


def address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"url must be http://HOST:PORT or https://HOST:PORT, got {url!r}")
    if "@" in parts.netloc:
        raise ValueError("url must not hold a user name or a password: give the key as key")
    return parts._replace(path=parts.path if parts.path not in ("", "/") else "/graphql").geturl()


def sendable(value: Any, path: str = "") -> Any:
    """What JSON can hold: a Decimal is its text. Raises TypeError that names the field that is NaN or infinite."""
    if isinstance(value, Decimal):
        return plain(read_number(value, path))
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{path} must be a number, got {value!r}")
    if isinstance(value, Mapping):
        fields = cast(Mapping[str, Any], value)
        return {name: sendable(inner, f"{path}.{name}" if path else name) for name, inner in fields.items()}
    if isinstance(value, (list, tuple)):
        return [sendable(inner, f"{path}.{index}") for index, inner in enumerate(cast(Sequence[Any], value))]
    return value


def check_header(value: str, name: str, code: str) -> None:
    """Raises SerinError where no header can hold it. It may be a secret: only the character and its place are named."""
    found = re.search(r"[^\t -~\x80-\xff]", value)
    if found:
        raise SerinError(
            f"The {name} has a character that no HTTP header can hold (U+{ord(found[0]):04X}, at position {found.start() + 1})", code
        )


def as_refused(error: SerinError) -> FeedRefused:
    """Credentials that cannot be sent refuse a feed as the server does."""
    return error if isinstance(error, FeedRefused) else FeedRefused(str(error), error.code)


def as_object(value: Any) -> Dict[str, Any]:
    """A JSON object; an empty one where it is anything else."""
    return cast(Dict[str, Any], value) if isinstance(value, dict) else {}


def code_of(errors: Sequence[Mapping[str, Any]]) -> str:
    return str(as_object(errors[0].get("extensions")).get("code", "GRAPHQL_VALIDATION_FAILED"))


def feed_error(errors: Sequence[Mapping[str, Any]]) -> Exception:
    code, message = code_of(errors), str(errors[0]["message"])
    return Again(message) if code in PASSING_FEED else FeedRefused(message, code)


def refusal(status: int, body: bytes) -> Exception:
    errors: Sequence[Mapping[str, Any]] = []
    try:
        errors = as_object(json.loads(body)).get("errors") or []
    except ValueError:
        pass
    return feed_error(errors) if errors else Again(f"HTTP {status} instead of a feed")


def position(value: Optional[str]) -> Tuple[int, int]:
    """How far a mutation has written, such as 16/B374D848; zeros where nothing is said."""
    match = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", value or "")
    return (int(match[1], 16), int(match[2], 16)) if match else (0, 0)


def retry_after(value: Optional[str]) -> float:
    """Both forms of the header, in seconds; 0 where there is none."""
    if not value:
        return 0.0
    if value.isdigit():
        return float(value)
    at = email.utils.parsedate_tz(value)
    return max(0.0, email.utils.mktime_tz(at) - time.time()) if at else 0.0
