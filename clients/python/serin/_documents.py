"""The documents that a side sends, and those that find out what its server knows."""
from __future__ import annotations

from typing import Set

from ._http import Http, SerinError

FIGURES = """errorCount tradeCount metrics { netPnlUsd totalPnlUsd totalGasUsd avgTradeSizeUsd maxDrawdown winRate
  uptimeSeconds }"""
OPENING = f"""query ($id: ID!) {{ deployment(id: $id) {{ status canaryMetrics {{ {FIGURES} }}
  stableMetrics {{ {FIGURES} }} }} }}"""
PLAN = "rollbackPlan { positions maxSlippageBps deadlineSeconds }"
RECORD = """mutation ($input: RecordTradesInput!) { recordTrades(input: $input) { success message taken known
  error { code message path } refused { index error { code message path } } } }"""
RECORD_LEASED = RECORD.replace("taken known", "leaseSeconds taken known")
LIFE = "query ($id: ID!) { deployment(id: $id) { status } }"
EXTRAS = ("stale", "now", "clockRate", "leaseSeconds")
HEARTBEAT = """mutation ($input: HeartbeatInput!) { heartbeat(input: $input) { success leaseSeconds
  deployment { status } } }"""


def _probe(field: str, selected: str = "success") -> str:
    return f'updateCanaryMetrics(input: {{ deploymentId: "" {field} }}) @skip(if: true) {{ {selected} }}'


# What a newer server offers, each in a document that is validated and then skipped: a server is never sent a field that
# it does not know, and introspection is off in production.
PROBES = {
    "session": _probe('session: ""'),
    "sequence": _probe("sequence: 1"),
    "asOf": _probe('asOf: "2026-01-01T00:00:00.000Z"'),
    "unrealizedPnlUsd": _probe('unrealizedPnlUsd: "0"'),
    "stale": _probe("", "stale"),
    "now": _probe("", "now"),
    "clockRate": _probe("", "clockRate"),
    "leaseSeconds": _probe("", "leaseSeconds"),
    "heartbeat": 'heartbeat(input: { deploymentId: "", side: CANARY }) @skip(if: true) { success }',
    "rollbackPlan": """acknowledgeAllocation(input: { deploymentId: "", number: 1, side: CANARY, heldUsd: "0"
      openExposureUsd: "0" }) @skip(if: true) { deployment { config { rollbackPlan { positions } }
      allocation { rollbackPlan { positions } } } }""",
}


def allocations_document(with_plan: bool) -> str:
    plan, config = (PLAN, f"config {{ {PLAN} }}") if with_plan else ("", "")
    return f"""subscription ($id: ID!) {{ deploymentUpdated(deploymentId: $id) {{ status {config} allocation {{
      number cause canaryUsd stableUsd totalUsd {plan} sides {{ side acknowledgedNumber }} }} }} }}"""


def read_features(http: Http) -> Set[str]:
    """Asks once, in one request where all are known."""

    def known(fields: str) -> bool:
        try:
            http.send(f"mutation {{ {fields} }}", {})
            return True
        except SerinError as error:
            if error.code not in ("GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"):
                raise
            return False

    if known(" ".join(f"f{index}: {field}" for index, field in enumerate(PROBES.values()))):
        return set(PROBES)
    return {name for name, field in PROBES.items() if known(field)}
