"""The lease of one side: heartbeats that keep it, and standing down when it runs out.

From then on nothing of this run is sent before Serin knows that the side stood down.
"""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, Optional, Set

from ._answers import ENDED
from ._documents import HEARTBEAT, LIFE
from ._http import Again, Backoff, Http, SerinError, as_object

#: Between two heartbeats that ask whether there is a lease, and at most between two that tell Serin of standing down.
ASK_AGAIN_SECONDS = 1.0
#: The least time that a heartbeat may take, however short the lease.
SHORTEST_LIMIT_SECONDS = 1.0


class Lease:
    """Counted on the monotonic clock from the moment at which the last answered request was sent.

    So a bot never stands down later than Serin assumes. changed is notified when the lease runs out or is prolonged.
    """

    def __init__(
        self,
        http: Http,
        features: Set[str],
        deployment_id: str,
        side: str,
        session: str,
        own_seconds: Optional[float],
        on_stand_down: Optional[Callable[[], Any]],
        changed: threading.Condition,
        closed: threading.Event,
    ) -> None:
        self.ended = False
        #: Set when the lease of the deployment has run out: no answer brings it back.
        self.lost = threading.Event()
        self._http, self._features = http, features
        self._deployment_id, self._side, self._session = deployment_id, side, session
        self._own_seconds, self._on_stand_down = own_seconds, on_stand_down
        self._changed, self._closed = changed, closed
        self._heard_at = time.monotonic()
        #: The lease that the deployment sets, and when it ends; None until an answer says so.
        self._given_seconds: Optional[float] = None
        self._given_until: Optional[float] = None
        #: Set when Serin knows that this side stood down, or need not know.
        self._server_knows = threading.Event()
        self._beat_now = threading.Event()

    def start(self) -> None:
        """Sends heartbeats until the deployment has ended, the side is closed, or the lease is lost."""
        for work in (self._beat, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Ends every wait: the side is closed."""
        self._server_knows.set()
        self._beat_now.set()

    def beat_now(self) -> None:
        """Sends the next heartbeat at once."""
        self._beat_now.set()

    def wait_until_server_knows(self) -> None:
        """Returns at once where this side has not stood down."""
        if self.lost.is_set():
            self._server_knows.wait()

    def pause(self, seconds: float) -> None:
        """Waits between two tries; shorter where the side is closed, or loses the lease of the deployment."""
        (self.lost if self._given_seconds else self._closed).wait(seconds)

    def answered(self, sent_at: float, seconds: Optional[float] = None) -> None:
        """A request that was sent at this moment of the monotonic clock was answered.

        seconds: how long the lease of the deployment lasts from then on; None where the answer does not prolong it.
        """
        with self._changed:
            self._check_given()
            if seconds is not None and not self.lost.is_set():
                self._given_seconds = seconds
                self._given_until = max(self._given_until or sent_at, sent_at + seconds)
            was_expired = self.expired()
            self._heard_at = max(self._heard_at, sent_at)
            if was_expired != self.expired() or seconds is not None:
                self._changed.notify_all()

    def note_status(self, status: Optional[str]) -> None:
        """What an answer says of the deployment: with its end nothing runs out any more."""
        self.ended = self.ended or status in ENDED

    def expired(self) -> bool:
        """Whether the side must hold nothing now."""
        if self.lost.is_set():
            return True
        return self._own_seconds is not None and time.monotonic() - self._heard_at >= self._own_seconds

    def remaining(self) -> Optional[float]:
        """Seconds until the next lease runs out; None where none does."""
        ends = [self._given_until] if self._given_until is not None and not self.lost.is_set() else []
        if self._own_seconds is not None and not self.expired():
            ends.append(self._heard_at + self._own_seconds)
        return max(0.01, min(ends) - time.monotonic()) if ends else None

    def _check_given(self) -> None:
        if self._given_until is not None and not self.ended and time.monotonic() >= self._given_until:
            self.lost.set()

    def _watch(self) -> None:
        """Stands down at the instant at which the lease of the deployment runs out."""
        with self._changed:
            while not self.lost.is_set():
                if self._closed.is_set() or self.ended:
                    return
                self._check_given()
                if not self.lost.is_set():
                    self._changed.wait(self.remaining())
            self._changed.notify_all()
        self._beat_now.set()
        self._http.notice("Serin was not reached within the lease of the capital: this side stands down")
        threading.Thread(target=self._tell_server, daemon=True).start()
        if self._on_stand_down:
            try:
                self._on_stand_down()
            except Exception as error:  # noqa: BLE001 (the bot's own code)
                self._http.notice(f"on_stand_down failed: {error!r}")

    def _tell_server(self) -> None:
        backoff = Backoff()
        while not self._closed.is_set():
            try:
                self._heartbeat(stoodDown=True)
                break
            except Again:
                self._closed.wait(min(backoff.next(), ASK_AGAIN_SECONDS))
            except SerinError as error:
                self._http.notice(f"Serin refused to hear that this side stood down: {error}")
                break
        self._server_knows.set()

    def _beat(self) -> None:
        """Keeps the lease of a bot that has nothing to report. The first heartbeat asks whether there is one."""
        asks = self._side == "CANARY" and "heartbeat" in self._features
        backoff = Backoff()
        while not self._closed.is_set() and not self.ended and not self.lost.is_set():
            unanswered = False
            if asks or self._shortest():
                try:
                    asks = not self._beat_once() and asks
                    backoff.reset()
                except Again:
                    unanswered = True
            shortest = self._shortest()
            wait = shortest / 3 if shortest else ASK_AGAIN_SECONDS
            # One that was not answered is sent again soon, to another node where there is one: the lease goes on.
            self._beat_now.wait(min(wait, backoff.next(), ASK_AGAIN_SECONDS) if unanswered else wait)
            self._beat_now.clear()

    def _shortest(self) -> Optional[float]:
        return min((lease for lease in (self._own_seconds, self._given_seconds) if lease), default=None)

    def _beat_once(self) -> bool:
        """Whether it was accepted. Raises Again where it was not answered."""
        sent_at, shortest = time.monotonic(), self._shortest()
        # A node that hangs must not take the whole lease.
        within = max(shortest / 3, SHORTEST_LIMIT_SECONDS) if shortest else None
        try:
            if "heartbeat" not in self._features:
                self._http.attempt(LIFE, {"id": self._deployment_id}, within)
                self.answered(sent_at)
                return True
            answer = self._heartbeat(within)
            self.answered(sent_at, answer["leaseSeconds"])
            return bool(answer["success"])
        except SerinError as error:
            self._http.notice(f"a heartbeat was refused: {error}")
            return False

    def _heartbeat(self, within: Optional[float] = None, **more: bool) -> Dict[str, Any]:
        fields = {"deploymentId": self._deployment_id, "side": self._side, **more}
        if "session" in self._features:
            fields["session"] = self._session
        answer: Dict[str, Any] = self._http.attempt(HEARTBEAT, {"input": fields}, within)["heartbeat"]
        self.note_status(as_object(answer["deployment"]).get("status"))
        return answer
