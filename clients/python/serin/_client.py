"""The client: operations that are safe to repeat, the sides of a deployment, and its feeds."""
from __future__ import annotations

import uuid
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Union

from ._http import Http, Key, Notice
from ._side import Side

STATE = """id strategyId chain stableVersionId canaryVersionId status revision totalCapitalUsd canaryCapitalUsd
  stableCapitalUsd availableActions"""

#: The longest that the other client's timers run.
LONGEST_SECONDS = 2_147_483


class Serin:
    """The Serin at an address, or at several: each node serves them all. Nothing is sent before the first operation.

    key: an API key or token, or a function that returns the one to use now.
    actor: the name of the caller where Serin runs open.
    on_notice: called with a sentence for a person: what failed, and when it is tried again.
    timeout: seconds that one request may take. retry_for: seconds for which an operation is tried again.
    """

    def __init__(
        self,
        url: Union[str, Sequence[str]] = "http://127.0.0.1:4000",
        key: Key = None,
        *,
        actor: Optional[str] = None,
        on_notice: Notice = lambda sentence: None,
        timeout: float = 10.0,
        retry_for: float = 30.0,
    ) -> None:
        self._http = Http(url, key, actor, timeout, retry_for, on_notice)

    def query(self, document: str, variables: Optional[Mapping[str, Any]] = None) -> Any:
        """Any query. It is sent again until it is answered, so send no mutation this way that does a thing twice."""
        return self._http.send(document, variables or {})

    def command(self, name: str, **fields: Any) -> Dict[str, Any]:
        """A command by the name of its mutation, with the fields of its input: command("pauseDeployment", deploymentId=…).

        It carries an idempotency key, so that whatever is sent again does nothing twice. A refusal is an answer: look at
        "success" and "error".
        """
        return self._command(name, fields)

    def _command(self, name: str, fields: Dict[str, Any], retry_for: Optional[float] = None) -> Dict[str, Any]:
        fields.setdefault("idempotencyKey", uuid.uuid4().hex)
        kind = name[:1].upper() + name[1:] + "Input"
        document = f"""mutation ($input: {kind}!) {{ {name}(input: $input) {{ success replayed message
          error {{ code message path }} deployment {{ {STATE} }} }} }}"""
        result: Dict[str, Any] = self._http.send(document, {"input": fields}, retry_for)[name]
        return result

    def deployment(self, deployment_id: str) -> Optional[Dict[str, Any]]:
        """A deployment, or None where there is none that the caller may see."""
        found = self.query(f"query ($id: ID!) {{ deployment(id: $id) {{ {STATE} }} }}", {"id": deployment_id})
        return found["deployment"]  # type: ignore[no-any-return]

    def side(
        self,
        deployment_id: str,
        side: str,
        *,
        stand_down_after_seconds: Optional[float] = None,
        session: Optional[str] = None,
        on_stand_down: Optional[Callable[[], Any]] = None,
    ) -> Side:
        """One side of a deployment, "CANARY" or "STABLE", for the bot that trades it. Waits until it is there.

        on_stand_down is called, in a thread of its own, when the lease of the deployment has run out, whether Serin can be
        reached or not: close the side's positions. allocations() yields a capital of 0 then, too.
        """
        if side not in ("CANARY", "STABLE"):
            raise ValueError(f"side must be CANARY or STABLE, got {side!r}")
        if stand_down_after_seconds is not None and not 0 < stand_down_after_seconds <= LONGEST_SECONDS:
            raise ValueError(
                f"stand_down_after_seconds must be more than 0 and at most {LONGEST_SECONDS}, got {stand_down_after_seconds!r}"
            )
        return Side(self._http, self._acknowledge, deployment_id, side, stand_down_after_seconds, session, on_stand_down)

    def follow(
        self, document: str, variables: Optional[Mapping[str, Any]] = None, after: Optional[str] = None
    ) -> Iterator[Dict[str, Any]]:
        """Follows a feed with cursors indefinitely, every event once: keep the cursor of what you have dealt with.

        document: a subscription that takes $after: String and selects cursor. after: "0" is the beginning.
        """
        position = {"after": after}
        for delivery in self._http.follow(document, lambda: {**(variables or {}), **position}):
            position["after"] = delivery["cursor"]
            yield delivery

    def _acknowledge(self, **fields: Any) -> Dict[str, Any]:
        # Briefly: between two tries the side sees whether it is to stand down.
        return self._command("acknowledgeAllocation", fields, retry_for=0.5)
