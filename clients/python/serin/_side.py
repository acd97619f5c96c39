"""One side of a deployment, as the bot that trades it uses it.

The rules of reporting and of capital are kept here: totals continue after a restart, reports never overtake each other,
capital is acknowledged, and a bot that cannot reach Serin stands down automatically.
"""
from __future__ import annotations

import threading
import time
import uuid
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ._allocation import Allocation, RollbackPlan
from ._answers import ENDED, closed, replaced, stood_down
from ._documents import OPENING, RECORD, RECORD_LEASED, allocations_document, read_features
from ._http import Http, SerinUnavailable, as_object
from ._lease import Lease
from ._reporter import Reporter
from ._totals import Number, plain, read_number

MOST_TRADES = 1000
LOOK_AGAIN_SECONDS = 1.0


class _Offer(NamedTuple):
    """What makes one allocation that a bot is given differ from another."""

    number: Optional[int]
    final: bool
    stand_down: bool


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
        self._http, self._send_acknowledgement = http, acknowledge
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._state: Optional[Dict[str, Any]] = None
        self._failure: Optional[BaseException] = None
        #: Counts the allocations that the bot was given.
        self._version = 0
        self._features = read_features(http)
        about = (http, self._features, deployment_id, side, self.session)
        self._lease = Lease(*about, stand_down_after_seconds, on_stand_down, self._changed, self._closed)
        #: What the side had done before this run, as Serin knows it; None where it has no capital yet.
        self.before = self._wait_for_it()
        base = None if "session" in self._features else self.before
        self._reporter = Reporter(*about, base, self._lease, self._closed)
        self._lease.start()

    @property
    def ended(self) -> bool:
        """Whether the deployment has ended, as far as this side knows."""
        return self._lease.ended

    def report(self, **totals: Optional[Number]) -> Dict[str, Any]:
        """Reports running totals of this run, from zero: pnl_usd, trades, errors, drawdown, sharpe_ratio, win_rate, …

        Returns when these totals, or newer ones of another thread, are on disk or refused, however long Serin is away;
        the result has success, message, error, status and stale. After close() the error is CLOSED, and LEASE_EXPIRED
        once the lease of the deployment has run out.
        """
        return self._reporter.report(totals)

    def record_trades(self, trades: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
        """Records closed trades ({"id", "at", "pnlUsd", "signalId", …}) instead of totals; each counts once by its id.

        Raises where Serin is away for longer than retry_for: call it again with the same trades.
        """
        whole: Dict[str, Any] = {"success": True, "message": "", "error": None, "taken": 0, "known": 0, "refused": []}
        for start in range(0, max(len(trades), 1), MOST_TRADES):
            batch = [dict(trade) for trade in trades[start : start + MOST_TRADES]]
            sent_at = time.monotonic()
            fields = {"deploymentId": self.deployment_id, "side": self.side, "trades": batch}
            if self._lease.lost.is_set():
                return {**whole, **stood_down()}
            if self._closed.is_set():
                return {**whole, **closed()}
            part = self._http.send(RECORD_LEASED if "leaseSeconds" in self._features else RECORD, {"input": fields})["recordTrades"]
            self._lease.answered(sent_at, part.get("leaseSeconds"))
            refused: List[Dict[str, Any]] = [
                {"id": batch[one["index"]]["id"], "index": one["index"] + start, "error": _placed(one["error"], one["index"], start)}
                for one in part["refused"]
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

        An allocation at which obey raises is not acknowledged, and the next one is held nevertheless.
        A dict that obey returns has the arguments of acknowledge: {"held_usd": 900, "open_exposure_usd": 0}.
        """

        def work() -> None:
            for allocation in self.allocations():
                try:
                    said = obey(allocation)
                    result = allocation.acknowledge(**as_object(said))
                except Exception as error:  # noqa: BLE001 (the bot's own code)
                    self._http.notice(f"allocation {allocation.number} is not acknowledged: {error!r}")
                    # The traceback, as where a thread ends with it; but this one must hold the next allocation, too.
                    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
                    continue
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
        offered: Optional[_Offer] = None
        try:
            while not self._closed.is_set():
                allocation, offer = self._next(offered)
                if offer is None:
                    break
                offered = offer
                if allocation:
                    yield allocation
                if offer.final:
                    break
        finally:
            stop.set()

    def close(self) -> None:
        """Ends everything. Reports that are on their way are not waited for: their error is CLOSED."""
        self._closed.set()
        self._lease.stop()
        with self._changed:
            self._changed.notify_all()

    def _wait_for_it(self) -> Optional[Dict[str, Any]]:
        told = False
        while True:
            sent_at = time.monotonic()
            deployment = self._http.send(OPENING, {"id": self.deployment_id})["deployment"]
            if deployment:
                self._lease.answered(sent_at)
                return deployment["canaryMetrics" if self.side == "CANARY" else "stableMetrics"]  # type: ignore[no-any-return]
            if not told:
                told = True
                self._http.notice(f"There is no deployment {self.deployment_id} yet (or this key may not see it): waiting for it")
            time.sleep(LOOK_AGAIN_SECONDS)

    def _follow(self, stop: threading.Event) -> None:
        stopped = lambda: stop.is_set() or self._closed.is_set()  # noqa: E731
        try:
            document = allocations_document("rollbackPlan" in self._features)
            for state in self._http.follow(document, lambda: {"id": self.deployment_id}, stopped):
                self._lease.note_status(state["status"])
                with self._changed:
                    self._state = state
                    self._changed.notify_all()
                # With the first capital the lease begins.
                self._lease.beat_now()
                if state["status"] in ENDED:
                    return
                if not state["allocation"]:
                    self._http.notice(f"{self.deployment_id} has no capital yet: waiting for deployCanary")
        except Exception as error:  # noqa: BLE001 (whatever it is, the bot that waits for capital must learn of it)
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _next(self, offered: Optional[_Offer]) -> Tuple[Optional[Allocation], Optional[_Offer]]:
        """Waits for something other than what was offered; None of both when the side is closed."""
        with self._changed:
            while not self._closed.is_set():
                if self._failure:
                    raise self._failure
                if self._state is not None:
                    offer = self._offer_of(self._state)
                    if offer != offered and (offer.number is not None or offer.final):
                        self._version += 1
                        return self._read(self._state, offer), offer
                self._changed.wait(self._lease.remaining())
        return None, None

    def _offer_of(self, state: Mapping[str, Any]) -> _Offer:
        final = state["status"] in ENDED
        number = state["allocation"] and state["allocation"]["number"]
        return _Offer(number, final, self._lease.expired() and not final)

    def _read(self, state: Mapping[str, Any], offer: _Offer) -> Optional[Allocation]:
        requested = state["allocation"]
        if not requested:
            return None
        number, stand_down = requested["number"], offer.stand_down
        share = requested["canaryUsd" if self.side == "CANARY" else "stableUsd"]
        answered = any(one["side"] == self.side and one["acknowledgedNumber"] == number for one in requested["sides"])
        if stand_down:
            self._http.notice("Serin was not reached for too long: this side stands down")
        version = self._version
        plan: Any = as_object(state.get("config")).get("rollbackPlan") if stand_down else requested.get("rollbackPlan")
        return Allocation(
            number,
            "LEASE_EXPIRED" if stand_down else requested["cause"],
            "0" if stand_down else share,
            requested["totalUsd"],
            plan and RollbackPlan(plan["positions"], plan["maxSlippageBps"], plan["deadlineSeconds"]),
            offer.final,
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
            "heldUsd": allocation.capital_usd if held is None else plain(read_number(held, "held_usd")),
            "idempotencyKey": uuid.uuid4().hex,
        }
        stand_down = allocation.cause == "LEASE_EXPIRED"
        self._lease.wait_until_server_knows()
        if self._lease.lost.is_set() and stand_down:
            return replaced()
        plan = allocation.rollback_plan
        if exposure is not None and "rollbackPlan" in self._features:
            fields["openExposureUsd"] = plain(read_number(exposure, "open_exposure_usd"))
        elif plan and plan.positions == "CLOSE" and Decimal(allocation.capital_usd) == 0:
            self._http.notice(
                f"the {self.side.lower()} of {self.deployment_id} is to close its positions: acknowledge with "
                f"open_exposure_usd, or allocation {allocation.number} never settles"
            )
        while True:
            sent_at = time.monotonic()
            try:
                result = self._send_acknowledgement(**fields)
                self._lease.answered(sent_at)
                return result
            except SerinUnavailable as error:
                self._http.notice(f"{error}; it is asked again")
            with self._changed:
                # A bot that waits for this answer must learn that it has to stand down.
                offer = self._state and self._offer_of(self._state)
                if self._closed.is_set():
                    return {**closed(), "replayed": False, "deployment": None}
                if version != self._version or (offer and offer != (allocation.number, allocation.final, stand_down)):
                    return replaced()


def _placed(error: Mapping[str, Any], in_batch: int, start: int) -> Dict[str, Any]:
    """An error of a trade with its place among all trades instead of that in its batch."""
    path: List[str] = list(error["path"])
    index = str(in_batch + start)
    message = str(error["message"]).replace(f"trades.{in_batch}", f"trades.{index}", 1)
    return {**error, "message": message, "path": [*path[:1], index, *path[2:]]}
