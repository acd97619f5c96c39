"""Answers that the client itself gives where nothing was sent, or nothing was heard."""
from __future__ import annotations

from typing import Any, Dict

ENDED = {"PROMOTED", "ROLLED_BACK", "CANCELLED", "FAILED"}


def closed() -> Dict[str, Any]:
    """After close(). Serin may have got the request nevertheless."""
    return _refusal("CLOSED", "This side was closed before Serin answered")


def stood_down() -> Dict[str, Any]:
    """After the lease of the deployment has run out."""
    return _refusal("LEASE_EXPIRED", "This side has stood down: no request was answered within the lease of its capital")


def replaced() -> Dict[str, Any]:
    """For the acknowledgement of an allocation that is not the newest any more."""
    answer = _refusal("REPLACED", "Another allocation has replaced this one")
    return {**answer, "replayed": False, "deployment": None}


def _refusal(code: str, message: str) -> Dict[str, Any]:
    return {"success": False, "message": message, "error": {"code": code, "message": message, "path": []}}
