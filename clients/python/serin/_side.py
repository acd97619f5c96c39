"""One side of a deployment, as the bot that trades it uses it.

The rules of reporting and of capital are kept here: totals continue after a restart, reports never overtake each other,
capital is acknowledged, and a bot that cannot reach Serin stands down by itself.
"""
from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set

from ._http import Again, Backoff, Http, SerinError, SerinUnavailable
from ._totals import Number, continue_from, read_totals

ENDED = {"PROMOTED", "ROLLED_BACK", "CANCELLED", "FAILED"}
MOST_TRADES = 1000
LOOK_AGAIN_SECONDS = 1.0

FIGURES = """errorCount tradeCount metrics { netPnlUsd totalPnlUsd totalGasUsd avgTradeSizeUsd maxDrawdown winRate
  uptimeSeconds }"""
OPENING = f"""query ($id: ID!) {{ deployment(id: $id) {{ status canaryMetrics {{ {FIGURES} }}
  stableMetrics {{ {FIGURES} }} }} }}"""
ALLOCATIONS = """subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) { status allocation {
  number cause canaryUsd stableUsd totalUsd sides { side acknowledgedNumber } } } }"""
RECORD = """mutation ($input: RecordTradesInput!) { recordTrades(input: $input) { success message taken known
  error { code message path } refused { index error { code message path } } } }"""
LIFE = "query ($id: ID!) { deployment(id: $id) { status } }"
HEARTBEAT = "mutation ($input: HeartbeatInput!) { heartbeat(input: $input) { success } }"


def _probe(field: str, selected: str = "success") -> str:
    return f'updateCanaryMetrics(input: {{ deploymentId: "" {field} }}) @skip(if: true) {{ {selected} }}'


# What a newer server offers, each in a document that is validated and then skipped: a server is never sent a field that
# it does not know, and introspection is off in production.
PROBES = {
    "session": _probe('session: ""'),
    "sequence": _probe("sequence: 1"),
    "unrealizedPnlUsd": _probe('unrealizedPnlUsd: "0"'),
    "stale": _probe("", "stale"),
    "leaseSeconds": _probe("", "leaseSeconds"),
    "heartbeat": 'heartbeat(input: { deploymentId: "", side: CANARY }) @skip(if: true) { success }',
}


def _closed() -> Dict[str, Any]:
    """What the client itself answers after close(). Serin may have got the request nevertheless."""
    message = "This side was closed before Serin answered"
    return {"success": False, "message": message, "error": {"code": "CLOSED", "message": message, "path": []}}


@dataclass(frozen=True)
class Allocation:
    """Capital that the side should hold: the newest request, never one that has been replaced."""

    number: int
    """The number of the request."""
    cause: str
    """DEPLOY, STEP, PROMOTE, ROLLBACK, CANCEL, FAIL, or LEASE_EXPIRED."""
    capital_usd: str
    """What this side should hold now, USD, exact."""
    total_usd: str
    final: bool
    """Whether it is the last one: the deployment has ended."""
    acknowledged: bool
    """Whether this side has answered it before, in an earlier run of the bot."""
    _answer: Callable[["Allocation", Optional[Number]], Dict[str, Any]]

    def acknowledge(self, held_usd: Optional[Number] = None) -> Dict[str, Any]:
        """Tells Serin what the side holds now: all of it unless another amount is given. Sent until it is answered.

        To say the same again changes nothing. Where another allocation comes first, the error is REPLACED: take that one.
        """
        return self._answer(self, held_usd)


class Side:
    """Made by Serin.side()."""

    def __init__(
        self,
        http: Http,
        acknowledge: Callable[..., Dict[str, Any]],
        deployment_id: str,
        side: str,
        stand_down_after_seconds: Optional[float],
        session: Optional[str],
    ) -> None:
        self.deployment_id, self.side = deployment_id, side
        self.session = session or uuid.uuid4().hex
        self.ended = False
        self._http, self._send_acknowledgement = http, acknowledge
        self._closed = threading.Event()
        self._own_lease = self._lease = stand_down_after_seconds
        self._changed = threading.Condition()
        self._state: Optional[Dict[str, Any]] = None
        self._failure: Optional[BaseException] = None
        self._version = 0
        self._reporting, self._pending_lock = threading.Lock(), threading.Lock()
        self._pending: Dict[str, Any] = {}
        self._result: Dict[str, Any] = {}
        self._sequence = 0
        self._features = self._read_features()
        self._heard_at = time.monotonic()
        #: What the side had done before this run, as Serin knows it; None where it has no capital yet.
        self.before = self._wait_for_it()
        self._base = None if "session" in self._features else self.before
        threading.Thread(target=self._beat, daemon=True).start()

    def report(self, **totals: Optional[Number]) -> Dict[str, Any]:
        """Reports running totals of this run, from zero: pnl_usd, trades, errors, drawdown, sharpe_ratio, win_rate, …

        Returns when these totals, or newer ones of another thread, are on disk or refused, however long Serin is away;
        the result has success, message, error and status. After close() the error is CLOSED.
        """
        figures = read_totals(totals, "unrealizedPnlUsd" in self._features)
        if self._closed.is_set():
            return {**_closed(), "status": None, "stale": False}
        with self._pending_lock:
            self._pending.update(continue_from(self._base, figures) if self._base else figures)
        with self._reporting:
            return self._report_pending()

    def record_trades(self, trades: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
        """Records closed trades ({"id", "at", "pnlUsd", "signalId", …}) instead of totals; each counts once by its id."""
        whole: Dict[str, Any] = {"success": True, "message": "", "error": None, "taken": 0, "known": 0, "refused": []}
        for start in range(0, max(len(trades), 1), MOST_TRADES):
            batch = [dict(trade) for trade in trades[start : start + MOST_TRADES]]
            sent_at = time.monotonic()
            fields = {"deploymentId": self.deployment_id, "side": self.side, "trades": batch}
            part = self._http.send(RECORD, {"input": fields})["recordTrades"]
            self._answered(sent_at)
            refused: List[Dict[str, Any]] = [
                {**one, "id": batch[one["index"]]["id"], "index": one["index"] + start} for one in part["refused"]
            ]
            whole = {
                "success": whole["success"] and part["success"],
                "message": part["message"],
                "error": whole["error"] or part["error"],
                "taken": whole["taken"] + part["taken"],
                "known": whole["known"] + part["known"],
                "refused": whole["refused"] + refused,
            }
        return whole

    def hold(self, obey: Callable[[Allocation], Any]) -> threading.Thread:
        """Calls obey with each allocation, in a thread of its own, and acknowledges it when obey returns."""

        def work() -> None:
            for allocation in self.allocations():
                obey(allocation)
                result = allocation.acknowledge()
                if not result["success"] and result["error"]["code"] != "REPLACED":
                    self._http.notice(f"Acknowledgement refused, {result['error']['code']}: {result['message']}")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def allocations(self) -> Iterator[Allocation]:
        """Yields the capital this side should hold: the request of the moment first, then each newer one.

        Over any number of broken connections. A consumer that is busy gets the newest. Ends after the last one.
        """
        stop = threading.Event()
        threading.Thread(target=self._follow, args=(stop,), daemon=True).start()
        offered = None
        try:
            while not self._closed.is_set():
                allocation, shown = self._next(offered)
                if shown is None:
                    break
                offered = shown
                if allocation:
                    yield allocation
                if shown[1]:
                    break
            self.ended = self.ended or not self._closed.is_set()
        finally:
            stop.set()

    def close(self) -> None:
        """Ends everything. Reports that are on their way are not waited for: their error is CLOSED."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def _next(self, offered: Any) -> Any:
        """Waits for something other than what was offered; the allocation of it, and what it is."""
        with self._changed:
            while not self._closed.is_set():
                if self._failure:
                    raise self._failure
                if self._state is not None:
                    shown = self._shown(self._state)
                    if shown != offered and (shown[0] is not None or shown[1]):
                        self._version += 1
                        return self._read(self._state, shown), shown
                self._changed.wait(self._until_lease())
        return None, None

    def _shown(self, state: Mapping[str, Any]) -> Any:
        """What makes one offer differ from another: the number, whether it is the last, whether the lease ran out."""
        final = state["status"] in ENDED
        number = state["allocation"] and state["allocation"]["number"]
        return number, final, self._expired() and not final

    def _read(self, state: Mapping[str, Any], shown: Any) -> Optional[Allocation]:
        requested = state["allocation"]
        if not requested:
            return None
        number, final, stand_down = shown
        share = requested["canaryUsd" if self.side == "CANARY" else "stableUsd"]
        answered = any(one["side"] == self.side and one["acknowledgedNumber"] == number for one in requested["sides"])
        if stand_down:
            self._http.notice("Serin was not reached for too long: this side stands down")
        version = self._version
        return Allocation(
            number,
            "LEASE_EXPIRED" if stand_down else requested["cause"],
            "0" if stand_down else share,
            requested["totalUsd"],
            final,
            answered and not stand_down,
            lambda allocation, held: self._acknowledge(allocation, held, version),
        )

    def _acknowledge(self, allocation: Allocation, held: Optional[Number], version: int) -> Dict[str, Any]:
        fields = {
            "deploymentId": self.deployment_id,
            "number": allocation.number,
            "side": self.side,
            "heldUsd": str(allocation.capital_usd if held is None else held),
            "idempotencyKey": uuid.uuid4().hex,
        }
        while True:
            sent_at = time.monotonic()
            try:
                result = self._send_acknowledgement(**fields)
                self._answered(sent_at)
                return result
            except SerinUnavailable as error:
                self._http.notice(f"{error}; it is asked again")
            with self._changed:
                # A bot that waits for this answer must hear that it is to stand down.
                state = self._state
                shown = state and self._shown(state)
                offered = (allocation.number, allocation.final, allocation.cause == "LEASE_EXPIRED")
                if self._closed.is_set():
                    return {**_closed(), "replayed": False, "deployment": None}
                if version != self._version or (shown and shown != offered):
                    error_fields = {"code": "REPLACED", "message": "Another allocation has replaced this one", "path": []}
                    return {"success": False, "replayed": False, "message": error_fields["message"], "error": error_fields, "deployment": None}

    def _follow(self, stop: threading.Event) -> None:
        stopped = lambda: stop.is_set() or self._closed.is_set()  # noqa: E731
        try:
            for state in self._http.follow(ALLOCATIONS, lambda: {"id": self.deployment_id}, stopped):
                with self._changed:
                    self._state = state
                    self._changed.notify_all()
                if not state["allocation"] and state["status"] not in ENDED:
                    self._http.notice(f"{self.deployment_id} has no capital yet: waiting for deployCanary")
                if state["status"] in ENDED:
                    return
        except SerinError as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _report_pending(self) -> Dict[str, Any]:
        backoff, sending = Backoff(), {}  # type: ignore[var-annotated]
        while True:
            with self._pending_lock:
                sending.update(self._pending)
                self._pending = {}
            if not sending:  # Another thread has sent these figures with its own.
                return self._result
            try:
                self._result = self._send_report(sending)
                return self._result
            except Again as error:
                wait = max(error.after, backoff.next())
                self._http.notice(f"a report was not answered ({error}); the newest totals are sent again in {wait:.1f} s")
                if self._closed.wait(wait):
                    return {**_closed(), "status": None, "stale": False}

    def _send_report(self, figures: Mapping[str, Any]) -> Dict[str, Any]:
        self._sequence += 1
        identity = {"session": self.session, "sequence": self._sequence}
        fields = {"deploymentId": self.deployment_id, **figures}
        fields.update({name: value for name, value in identity.items() if name in self._features})
        mutation = "updateCanaryMetrics" if self.side == "CANARY" else "updateStableMetrics"
        extras = " ".join(name for name in ("stale", "leaseSeconds") if name in self._features)
        sent_at = time.monotonic()
        answer = self._http.attempt(
            f"mutation ($input: UpdateMetricsInput!) {{ result: {mutation}(input: $input) {{ success message "
            f"error {{ code message path }} deployment {{ status }} {extras} }} }}",
            {"input": fields},
        )["result"]
        self._answered(sent_at, answer.get("leaseSeconds"))
        status = answer["deployment"] and answer["deployment"]["status"]
        self.ended = self.ended or status in ENDED
        return {
            "success": answer["success"],
            "message": answer["message"],
            "error": answer["error"],
            "status": status,
            "stale": answer.get("stale", False),
        }

    def _read_features(self) -> Set[str]:
        known = set()
        for name, field in PROBES.items():
            try:
                self._http.send(f"mutation {{ {field} }}", {})
                known.add(name)
            except SerinError as error:
                if error.code not in ("GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"):
                    raise
        return known

    def _wait_for_it(self) -> Optional[Dict[str, Any]]:
        told = False
        while True:
            sent_at = time.monotonic()
            deployment = self._http.send(OPENING, {"id": self.deployment_id})["deployment"]
            if deployment:
                self._answered(sent_at)
                return deployment["canaryMetrics" if self.side == "CANARY" else "stableMetrics"]  # type: ignore[no-any-return]
            if not told:
                told = True
                self._http.notice(f"There is no deployment {self.deployment_id} yet (or this key may not see it): waiting for it")
            time.sleep(LOOK_AGAIN_SECONDS)

    def _answered(self, sent_at: float, lease: Optional[float] = None) -> None:
        """Counted from the moment of sending, so that a bot never stands down later than Serin assumes."""
        with self._changed:
            if lease:
                self._lease = min(lease, self._own_lease) if self._own_lease else lease
            was_expired = self._expired()
            self._heard_at = max(self._heard_at, sent_at)
            if was_expired and not self._expired():
                self._changed.notify_all()

    def _expired(self) -> bool:
        return self._lease is not None and time.monotonic() - self._heard_at >= self._lease

    def _until_lease(self) -> Optional[float]:
        if self._lease is None or self._expired():
            return None
        return max(0.01, self._heard_at + self._lease - time.monotonic())

    def _beat(self) -> None:
        """Keeps the lease of a bot that has nothing to report."""
        while not self._closed.wait(self._lease / 3 if self._lease else LOOK_AGAIN_SECONDS):
            if self._lease is None or self.ended:
                continue
            fields = {"deploymentId": self.deployment_id, "side": self.side, "session": self.session}
            sent_at = time.monotonic()
            try:
                if "heartbeat" in self._features:
                    self._http.attempt(HEARTBEAT, {"input": fields})
                else:
                    self._http.attempt(LIFE, {"id": self.deployment_id})
                self._answered(sent_at)
            except Again:
                pass
            except SerinError as error:
                self._http.notice(f"a sign of life was refused: {error}")
