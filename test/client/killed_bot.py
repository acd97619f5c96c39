"""The bot of killedBot.ts in Python: url, deployment, name of the run, diary."""
import json
import os
import sys
import threading
from datetime import datetime, timezone

from serin import Serin, SerinError, SerinUnavailable

url, deployment_id, run, diary = sys.argv[1:5]
writing = threading.Lock()


def note(kind, value):
    with writing, open(diary, "a") as file:
        file.write(json.dumps({"run": run, "kind": kind, "value": value}) + "\n")


def follow():
    """Every event once, over all runs: it continues after the last one that is in the diary."""
    after = "0"
    if os.path.exists(diary):
        with open(diary) as file:
            entries = [json.loads(line) for line in file]
        after = next((one["value"]["cursor"] for one in reversed(entries) if one["kind"] == "event"), "0")
    query = """subscription ($id: ID, $after: String) {
      eventAppended(deploymentId: $id, after: $after) { cursor id } }"""
    for event in serin.follow(query, {"id": deployment_id}, after):
        note("event", event)


def hold(side):
    for allocation in side.allocations():
        about = {"side": side.side, "number": allocation.number}
        note("offered", {**about, "acknowledged": allocation.acknowledged})
        if allocation.acknowledge()["success"]:
            note("acknowledged", about)


def record(trade):
    try:
        if stable.record_trades([trade])["success"]:
            note("recorded", trade["id"])
    except (SerinError, SerinUnavailable):
        pass


serin = Serin(url)
threading.Thread(target=follow, daemon=True).start()
canary, stable = serin.side(deployment_id, "CANARY"), serin.side(deployment_id, "STABLE")
holding = [threading.Thread(target=hold, args=(side,)) for side in (canary, stable)]
for thread in holding:
    thread.start()
started_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
trades = 0
while not canary.ended:
    trades += 1
    trade = {"id": f"{run}-{trades}", "at": started_at, "pnlUsd": "1"}
    note("sent", {"trades": trades, "id": trade["id"]})
    recording = threading.Thread(target=record, args=(trade,))
    recording.start()
    if canary.report(trades=trades, pnl_usd=trades)["success"]:
        note("reported", trades)
    recording.join()
for thread in holding:
    thread.join()
note("ended", True)
threading.Event().wait()
