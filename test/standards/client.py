"""A bot with nothing but Python's standard library: GraphQL is JSON over HTTP, a feed is lines of text."""

import json
import sys
import urllib.request
from decimal import Decimal

ENDPOINT = sys.argv[1]


def ask(query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(ENDPOINT, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        answer = json.load(response)
    if "errors" in answer:
        raise RuntimeError(answer["errors"][0]["message"])
    return answer["data"]


def follow(query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    with urllib.request.urlopen(urllib.request.Request(ENDPOINT, body, headers), timeout=20) as lines:
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])["data"]


def command(name, **given):
    kind = name[0].upper() + name[1:] + "Input"
    query = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ success message deployment {{ id }} }} }}"
    result = ask(query, input=given)[name]
    if not result["success"]:
        raise RuntimeError(result["message"])
    return result["deployment"]["id"]


id = command("createDeployment", strategyId="python-bot", stableVersionId="v1", canaryVersionId="v2")
command("deployCanary", deploymentId=id, capitalUsd="100000.000000000000000001")
reported = ask(
    "mutation($input: UpdateMetricsInput!) { updateCanaryMetrics(input: $input) { success message } }",
    input={"deploymentId": id, "pnlUsd": "12.5", "trades": 3},
)
assert reported["updateCanaryMetrics"]["success"], reported

capital = ask("query($id: ID!) { deployment(id: $id) { canaryCapitalUsd stableCapitalUsd } }", id=id)["deployment"]
assert sum(Decimal(usd) for usd in capital.values()) == Decimal("100000.000000000000000001"), capital

command("pauseDeployment", deploymentId=id)
command("rollbackCanary", deploymentId=id, reason="seen enough")
statuses = []
for data in follow("subscription($id: ID!) { stateChanged(deploymentId: $id, after: \"0\") { status } }", id=id):
    statuses.append(data["stateChanged"]["status"])
    if statuses[-1] == "ROLLED_BACK":
        break
print("followed:", *statuses)
