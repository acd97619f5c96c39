"""What a bot reports: running totals of its own run, from zero.

A bot that restarts has lost what it counted before. Its totals are added to what Serin knew of the side when this run
began, or, where the server knows sessions, sent under a session of this run and added up by the server.
"""
from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Dict, Mapping, Optional, Union

Number = Union[int, float, str, Decimal]

FIELDS = {
    "pnl_usd": "pnlUsd",
    "unrealized_pnl_usd": "unrealizedPnlUsd",
    "total_pnl_usd": "totalPnlUsd",
    "trades": "trades",
    "errors": "errors",
    "drawdown": "drawdown",
    "sharpe_ratio": "sharpeRatio",
    "win_rate": "winRate",
    "total_gas_usd": "totalGasUsd",
    "avg_trade_size_usd": "avgTradeSizeUsd",
    "uptime_seconds": "uptimeSeconds",
}
COUNTS = {"trades", "errors", "uptimeSeconds"}
#: Serin reads no longer numbers.
MOST_DIGITS = 38


def read_totals(totals: Mapping[str, Optional[Number]], sends_unrealized: bool) -> Dict[str, Any]:
    """The figures of a report, checked. Raises TypeError that names the field."""
    figures: Dict[str, Any] = {}
    for name, value in totals.items():
        if name not in FIELDS:
            raise TypeError(f"{name} is not a figure; there are {', '.join(FIELDS)}")
        if value is None:
            continue
        number = read_number(value, name)
        field = FIELDS[name]
        if field in COUNTS:
            if number != int(number) or number < 0:
                raise TypeError(f"{name} must be a whole number from 0, got {value!r}")
            figures[field] = int(number)
        else:
            figures[field] = plain(number)
    unrealized = figures.pop("unrealizedPnlUsd", None)
    if unrealized is None:
        return figures
    if "pnlUsd" not in figures:
        raise TypeError("unrealized_pnl_usd needs pnl_usd in the same report")
    if sends_unrealized:
        figures["unrealizedPnlUsd"] = unrealized
    else:  # An older server has one figure for both: the net result, which is what it compares.
        figures["pnlUsd"] = add(figures["pnlUsd"], unrealized)
    return figures


def read_number(value: Number, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise TypeError(f"{name} must be a number, got {value!r}")
    if number.adjusted() >= MOST_DIGITS:
        raise TypeError(f"{name} must have at most {MOST_DIGITS} digits, got {value!r}")
    return number


def plain(number: Decimal) -> str:
    """Without exponent, rounded to the 18 decimals that Serin keeps."""
    with localcontext() as context:
        context.prec = 60
        text = format(number.quantize(Decimal("1e-18")), "f")
    return text.rstrip("0").rstrip(".") or "0"


def add(one: Any, other: Any) -> str:
    with localcontext() as context:
        context.prec = 60
        return plain(Decimal(str(one)) + Decimal(str(other)))


def continue_from(base: Mapping[str, Any], figures: Dict[str, Any]) -> Dict[str, Any]:
    """The totals of the side: what it had before this run, and this run's."""
    metrics = base["metrics"]
    before = {
        "pnlUsd": metrics["netPnlUsd"],
        "totalPnlUsd": metrics["totalPnlUsd"],
        "totalGasUsd": metrics["totalGasUsd"],
        "trades": base["tradeCount"],
        "errors": base["errorCount"],
        "uptimeSeconds": metrics["uptimeSeconds"],
    }
    both = dict(figures)
    for name, value in figures.items():
        if name in COUNTS:
            both[name] = before[name] + value
        elif name in before:
            both[name] = add(before[name], value)
    if "drawdown" in figures:
        both["drawdown"] = str(max(Decimal(metrics["maxDrawdown"]), Decimal(figures["drawdown"])))
    weights = (base["tradeCount"], figures.get("trades", 0))
    for name in ("winRate", "avgTradeSizeUsd"):
        if name in figures and metrics[name] is not None and sum(weights) > 0:
            with localcontext() as context:
                context.prec = 60
                total = Decimal(metrics[name]) * weights[0] + Decimal(figures[name]) * weights[1]
                both[name] = plain(total / sum(weights))
    return both
