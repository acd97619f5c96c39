"""Reports of running totals: one on its way at a time, what comes meanwhile joins the next, and none is lost."""
from __future__ import annotations

import threading
import time
from typing import Any, Dict, Mapping, Optional, Set, Union

from ._answers import closed, stood_down
from ._clock import Clock
from ._documents import EXTRAS
from ._http import Again, Backoff, Http
from ._lease import Lease
from ._totals import Number, continue_from, read_totals


class Reporter:
    """base: what is added to the totals of this run; None where the server adds the runs up itself."""

    def __init__(
        self,
        http: Http,
        features: Set[str],
        deployment_id: str,
        side: str,
        session: str,
        base: Optional[Dict[str, Any]],
        lease: Lease,
        side_closed: threading.Event,
    ) -> None:
        self._http, self._features = http, features
        self._deployment_id, self._side, self._session = deployment_id, side, session
        self._base, self._lease, self._closed = base, lease, side_closed
        self._sending, self._pending_lock = threading.Lock(), threading.Lock()
        self._pending: Dict[str, Any] = {}
        self._taken_at = 0.0
        #: What became of the figures that were sent last, for all threads whose figures were among them.
        self._result: Union[Dict[str, Any], Exception] = {}
        self._sequence = 0
        self._superseded = False
        self._clock = Clock()

    def report(self, totals: Mapping[str, Optional[Number]]) -> Dict[str, Any]:
        """Returns when these totals, or newer ones of another thread, are on disk or refused, or are not sent any more."""
        figures = read_totals(totals, "unrealizedPnlUsd" in self._features)
        if self._is_over():
            return self._unsent()
        with self._pending_lock:
            self._pending.update(continue_from(self._base, figures) if self._base else figures)
            self._taken_at = time.monotonic()
        with self._sending:
            return self._send_pending()

    def _send_pending(self) -> Dict[str, Any]:
        backoff = Backoff()
        sending: Dict[str, Any] = {}
        while True:
            with self._pending_lock:
                sending.update(self._pending)
                self._pending = {}
                taken_at = self._taken_at
            if not sending:  # Another thread has sent these figures with its own.
                return self._outcome()
            try:
                self._result = self._send(sending, taken_at)
                return self._outcome()
            except Again as error:
                wait = max(error.after, backoff.next())
                self._http.notice(f"a report was not answered ({error}); the newest totals are sent again in {wait:.1f} s")
                self._lease.pause(wait)
                if self._is_over():
                    self._result = self._unsent()
                    return self._outcome()
            except Exception as error:
                self._result = error
                raise

    def _outcome(self) -> Dict[str, Any]:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _send(self, figures: Mapping[str, Any], taken_at: float) -> Dict[str, Any]:
        self._sequence += 1
        # What tells the server which of two reports is the newer one, as far as it can be told.
        identity: Dict[str, Any] = {"session": self._session, "sequence": self._sequence}
        as_of = self._clock.at(taken_at)
        if as_of:
            identity["asOf"] = as_of
        fields = {"deploymentId": self._deployment_id, **figures}
        fields.update({name: value for name, value in identity.items() if name in self._features})
        mutation = "updateCanaryMetrics" if self._side == "CANARY" else "updateStableMetrics"
        extras = " ".join(name for name in EXTRAS if name in self._features)
        sent_at = time.monotonic()
        answer = self._http.attempt(
            f"mutation ($input: UpdateMetricsInput!) {{ result: {mutation}(input: $input) {{ success message "
            f"error {{ code message path }} deployment {{ status }} {extras} }} }}",
            {"input": fields},
        )["result"]
        if "now" in answer:
            self._clock.set(answer["now"], answer.get("clockRate", 1.0))
        self._lease.answered(sent_at, answer.get("leaseSeconds"))
        status = answer["deployment"] and answer["deployment"]["status"]
        self._lease.note_status(status)
        stale: bool = answer.get("stale", False)
        # Reports of one run never overtake each other: the newer one is of another run.
        if stale and not self._superseded:
            self._http.notice(
                f"figures of the {self._side.lower()} of {self._deployment_id} were not taken, "
                "because another process reports for it since: stop one of the two"
            )
        self._superseded = stale
        return {
            "success": answer["success"],
            "message": answer["message"],
            "error": answer["error"],
            "status": status,
            "stale": stale,
        }

    def _is_over(self) -> bool:
        return self._lease.lost.is_set() or self._closed.is_set()

    def _unsent(self) -> Dict[str, Any]:
        return {**(stood_down() if self._lease.lost.is_set() else closed()), "status": None, "stale": False}
