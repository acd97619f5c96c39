"""One side of a deployment, as the bot that trades it uses it.

The rules of reporting and of capital are kept here: totals continue after a restart, reports never overtake each other,
capital is acknowledged, and a bot that cannot reach Serin stands down by itself.
"""
from __future__ import annotations

import threading
import time
import uuid
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ._allocation import Allocation, RollbackPlan
from ._clock import Clock
from ._documents import EXTRAS, HEARTBEAT, LIFE, OPENING, RECORD, RECORD_LEASED, allocations_document, read_features
from ._http import Again, Backoff, Http, SerinError, SerinUnavailable
from ._totals import Number, continue_from, read_totals

ENDED = {"PROMOTED", "ROLLED_BACK", "CANCELLED", "FAILED"}
MOST_TRADES = 1000
LOOK_AGAIN_SECONDS = 1.0


def _refusal(code: str, message: str) -> Dict[str, Any]:
    return {"success": False, "message": message, "error": {"code": code, "message": message, "path": []}}


def _closed() -> Dict[str, Any]:
    """What the client itself answers after close(). Serin may have got the request nevertheless."""
    return _refusal("CLOSED", "This side was closed before Serin answered")


def _stood_down() -> Dict[str, Any]:
    """What the client itself answers once the lease of the deployment has run out."""
    return _refusal("LEASE_EXPIRED", "This side has stood down: no request was answered within the lease of its capital")


def _replaced() -> Dict[str, Any]:
    answer = _refusal("REPLACED", "Another allocation has replaced this one")
    return {**answer, "replayed": False, "deployment": None}


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
        on_stand_down: Optional[Callable[[], Any]] = None,
    ) -> None:
        self.deployment_id, self.side = deployment_id, side
        self.session = session or uuid.uuid4().hex
        self.ended = False
        self._http, self._send_acknowledgement = http, acknowledge
        self._closed = threading.Event()
        self._own_lease = stand_down_after_seconds
        self._on_stand_down = on_stand_down
        #: The lease that the deployment sets, and when it ends; None until an answer says so.
        self._given_lease: Optional[float] = None
        self._given_until: Optional[float] = None
        #: Set when that lease has run out: nothing of this run is sent any more but that it stood down.
        self._lost = threading.Event()
        #: Set when Serin has been told so, or need not be.
        self._told = threading.Event()
        #: Set to send the next heartbeat now.
        self._beat_now = threading.Event()
        self._changed = threading.Condition()
        self._state: Optional[Dict[str, Any]] = None
        self._failure: Optional[BaseException] = None
        self._version = 0
        self._reporting, self._pending_lock = threading.Lock(), threading.Lock()
        self._pending: Dict[str, Any] = {}
        self._result: Dict[str, Any] = {}
        self._taken_at = 0.0
        self._sequence = 0
        self._clock = Clock()
        self._features = read_features(http)
        self._heard_at = time.monotonic()
        #: What the side had done before this run, as Serin knows it; None where it has no capital yet.
        self.before = self._wait_for_it()
        self._base = None if "session" in self._features else self.before
        threading.Thread(target=self._beat, daemon=True).start()
        threading.Thread(target=self._watch_lease, daemon=True).start()

    def report(self, **totals: Optional[Number]) -> Dict[str, Any]:
        """Reports running totals of this run, from zero: pnl_usd, trades, errors, drawdown, sharpe_ratio, win_rate, …

        Returns when these totals, or newer ones of another thread, are on disk or refused, however long Serin is away;
        the result has success, message, error and status. After close() the error is CLOSED, and LEASE_EXPIRED once the
        lease of the deployment has run out.
        """
        figures = read_totals(totals, "unrealizedPnlUsd" in self._features)
        if self._unsent():
            return {**self._unsent(), "status": None, "stale": False}
        with self._pending_lock:
            self._pending.update(continue_from(self._base, figures) if self._base else figures)
            self._taken_at = time.monotonic()
        with self._reporting:
            return self._report_pending()

    def record_trades(self, trades: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
        """Records closed trades ({"id", "at", "pnlUsd", "signalId", …}) instead of totals; each counts once by its id."""
        whole: Dict[str, Any] = {"success": True, "message": "", "error": None, "taken": 0, "known": 0, "refused": []}
        for start in range(0, max(len(trades), 1), MOST_TRADES):
            batch = [dict(trade) for trade in trades[start : start + MOST_TRADES]]
            sent_at = time.monotonic()
            fields = {"deploymentId": self.deployment_id, "side": self.side, "trades": batch}
            if self._lost.is_set():
                return {**whole, **_stood_down()}
            part = self._http.send(RECORD_LEASED if "leaseSeconds" in self._features else RECORD, {"input": fields})["recordTrades"]
            self._answered(sent_at, part.get("leaseSeconds"))
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
        """Calls obey with each allocation, in a thread of its own, and acknowledges it when obey returns.

        A dict that obey returns has the arguments of acknowledge: {"held_usd": 900, "open_exposure_usd": 0}.
        """

        def work() -> None:
            for allocation in self.allocations():
                said = obey(allocation)
                result = allocation.acknowledge(**(said if isinstance(said, dict) else {}))
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
        self._told.set()
        self._beat_now.set()
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
        plan = (state.get("config") or {}).get("rollbackPlan") if stand_down else requested.get("rollbackPlan")
        return Allocation(
            number,
            "LEASE_EXPIRED" if stand_down else requested["cause"],
            "0" if stand_down else share,
            requested["totalUsd"],
            plan and RollbackPlan(plan["positions"], plan["maxSlippageBps"], plan["deadlineSeconds"]),
            final,
            answered and not stand_down,
            lambda allocation, held, exposure: self._acknowledge(allocation, held, exposure, version),
        )

    def _acknowledge(
        self, allocation: Allocation, held: Optional[Number], exposure: Optional[Number], version: int
    ) -> Dict[str, Any]:
        fields: Dict[str, Any] = {
            "deploymentId": self.deployment_id,
            "number": allocation.number,
            "side": self.side,
            "heldUsd": str(allocation.capital_usd if held is None else held),
            "idempotencyKey": uuid.uuid4().hex,
        }
        if self._lost.is_set():
            self._told.wait()
            if allocation.cause == "LEASE_EXPIRED":
                return _replaced()
        plan = allocation.rollback_plan
        if exposure is not None and "rollbackPlan" in self._features:
            fields["openExposureUsd"] = str(exposure)
        elif plan and plan.positions == "CLOSE" and Decimal(allocation.capital_usd) == 0:
            self._http.notice(
                f"the {self.side.lower()} of {self.deployment_id} is to close its positions: acknowledge with "
                f"open_exposure_usd, or allocation {allocation.number} never settles"
            )
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
                    return _replaced()

    def _follow(self, stop: threading.Event) -> None:
        stopped = lambda: stop.is_set() or self._closed.is_set()  # noqa: E731
        try:
            document = allocations_document("rollbackPlan" in self._features)
            for state in self._http.follow(document, lambda: {"id": self.deployment_id}, stopped):
                with self._changed:
                    self._state = state
                    self._changed.notify_all()
                # With the first capital the lease begins.
                self._beat_now.set()
                if not state["allocation"] and state["status"] not in ENDED:
                    self._http.notice(f"{self.deployment_id} has no capital yet: waiting for deployCanary")
                if state["status"] in ENDED:
                    self.ended = True
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
                taken_at = self._taken_at
            if not sending:  # Another thread has sent these figures with its own.
                return self._result
            try:
                self._result = self._send_report(sending, taken_at)
                return self._result
            except Again as error:
                wait = max(error.after, backoff.next())
                self._http.notice(f"a report was not answered ({error}); the newest totals are sent again in {wait:.1f} s")
                self._lost.wait(wait) if self._given_lease else self._closed.wait(wait)
                if self._unsent():
                    return {**self._unsent(), "status": None, "stale": False}

    def _send_report(self, figures: Mapping[str, Any], taken_at: float) -> Dict[str, Any]:
        self._sequence += 1
        # What tells the server which of two reports is the newer one, as far as it can be told.
        identity = {"session": self.session, "sequence": self._sequence}
        as_of = self._clock.at(taken_at)
        if as_of:
            identity["asOf"] = as_of
        fields = {"deploymentId": self.deployment_id, **figures}
        fields.update({name: value for name, value in identity.items() if name in self._features})
        mutation = "updateCanaryMetrics" if self.side == "CANARY" else "updateStableMetrics"
        extras = " ".join(name for name in EXTRAS if name in self._features)
        sent_at = time.monotonic()
        answer = self._http.attempt(
            f"mutation ($input: UpdateMetricsInput!) {{ result: {mutation}(input: $input) {{ success message "
            f"error {{ code message path }} deployment {{ status }} {extras} }} }}",
            {"input": fields},
        )["result"]
        if "now" in answer:
            self._clock.set(answer["now"], answer.get("clockRate", 1.0))
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

    def _unsent(self) -> Dict[str, Any]:
        """The answer to what is not sent any more; empty while everything is sent."""
        if self._lost.is_set():
            return _stood_down()
        return _closed() if self._closed.is_set() else {}

    def _answered(self, sent_at: float, lease: Optional[float] = None) -> None:
        """Counted from the moment of sending, so that a bot never stands down later than Serin assumes.

        lease: seconds that the lease of the deployment lasts from then on; None where the answer does not prolong it.
        """
        with self._changed:
            self._check_given()
            if lease is not None and not self._lost.is_set():
                self._given_lease = lease
                self._given_until = max(self._given_until or sent_at, sent_at + lease)
            was_expired = self._expired()
            self._heard_at = max(self._heard_at, sent_at)
            if was_expired != self._expired() or lease is not None:
                self._changed.notify_all()

    def _check_given(self) -> None:
        """The lease of the deployment is lost once it has run out: no answer brings it back."""
        if self._given_until is not None and not self.ended and time.monotonic() >= self._given_until:
            self._lost.set()

    def _expired(self) -> bool:
        if self._lost.is_set():
            return True
        return self._own_lease is not None and time.monotonic() - self._heard_at >= self._own_lease

    def _until_lease(self) -> Optional[float]:
        """Seconds until the next lease runs out; None where none does."""
        ends = [self._given_until] if self._given_until is not None and not self._lost.is_set() else []
        if self._own_lease is not None and not self._expired():
            ends.append(self._heard_at + self._own_lease)
        return max(0.01, min(ends) - time.monotonic()) if ends else None

    def _watch_lease(self) -> None:
        """Stands down at the instant at which the lease of the deployment runs out."""
        with self._changed:
            while not self._lost.is_set():
                if self._closed.is_set() or self.ended:
                    return
                self._check_given()
                if not self._lost.is_set():
                    self._changed.wait(self._until_lease())
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
        """Says that this side stood down, before anything else is sent."""
        backoff = Backoff()
        while not self._closed.is_set():
            try:
                self._heartbeat(stoodDown=True)
                break
            except Again:
                self._closed.wait(min(backoff.next(), LOOK_AGAIN_SECONDS))
            except SerinError as error:
                self._http.notice(f"Serin refused to hear that this side stood down: {error}")
                break
        self._told.set()

    def _heartbeat(self, **more: bool) -> Dict[str, Any]:
        fields = {"deploymentId": self.deployment_id, "side": self.side, **more}
        if "session" in self._features:
            fields["session"] = self.session
        answer = self._http.attempt(HEARTBEAT, {"input": fields})["heartbeat"]
        self.ended = self.ended or (answer["deployment"] or {}).get("status") in ENDED
        return answer  # type: ignore[no-any-return]

    def _beat(self) -> None:
        """Keeps the lease of a bot that has nothing to report. The first heartbeat asks whether there is one."""
        asks = self.side == "CANARY" and "heartbeat" in self._features
        while not self._closed.is_set() and not self.ended and not self._lost.is_set():
            leases = [lease for lease in (self._own_lease, self._given_lease) if lease]
            if asks or leases:
                asks = not self._beat_once() and asks
            leases = [lease for lease in (self._own_lease, self._given_lease) if lease]
            self._beat_now.wait(min(leases) / 3 if leases else LOOK_AGAIN_SECONDS)
            self._beat_now.clear()

    def _beat_once(self) -> bool:
        """Whether it was accepted."""
        sent_at = time.monotonic()
        try:
            if "heartbeat" not in self._features:
                self._http.attempt(LIFE, {"id": self.deployment_id})
                self._answered(sent_at)
                return True
            answer = self._heartbeat()
            self._answered(sent_at, answer["leaseSeconds"])
            return bool(answer["success"])
        except Again:
            return False
        except SerinError as error:
            self._http.notice(f"a heartbeat was refused: {error}")
            return False
