#!/usr/bin/env python3
"""A strategy bot in Python, standard library only: trades, reports, and obeys the capital that Serin allocates.

    python3 examples/bot.py --deployment dep_first --side STABLE --window 50

It trades a day of the S&P 500 every second; --every says otherwise. SERIN_URL and SERIN_TOKEN say where Serin is and
who the bot is. Two threads: one follows the feed of allocations, the other trades and reports.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import sys
import threading
import time
import urllib.request

URL = os.environ.get("SERIN_URL", "http://127.0.0.1:4000/graphql")
PRICES = pathlib.Path(__file__).parent.parent / "data" / "sp500-2000.csv"
COST = 0.0005  # of what is bought or sold: five basis points
LAST_CAUSES = {"PROMOTE", "ROLLBACK", "CANCEL", "FAIL"}  # an allocation for one of these ends the trial


def post(query, variables, accept="application/json", timeout=10):
    """Sends one operation; answers the open response."""
    headers = {"content-type": "application/json", "accept": accept}
    if token := os.environ.get("SERIN_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    body = json.dumps({"query": query, "variables": variables}).encode()
    return urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=timeout)


def ask(query, variables):
    """Asks for one answer. A refusal of the domain is in the data; anything else is an exception."""
    with post(query, variables) as response:
        answer = json.load(response)
    if answer.get("errors"):
        raise RuntimeError("; ".join(error["message"] for error in answer["errors"]))
    return answer["data"]


def follow(query, variables, field):
    """Yields what a feed with cursors delivers, for ever: every event once, over any number of broken connections."""
    cursor = "0"
    while True:
        try:
            with post(query, {**variables, "after": cursor}, "text/event-stream", timeout=60) as stream:
                for line in stream:
                    if not line.startswith(b"data:") or not (text := line[5:].strip()):
                        continue
                    answer = json.loads(text)
                    if answer.get("errors"):
                        raise RuntimeError(answer["errors"][0]["message"])
                    yield answer["data"][field]
                    cursor = answer["data"][field]["cursor"]
        except (OSError, RuntimeError) as error:
            print(f"the feed broke and is taken up again: {error}", file=sys.stderr)
        time.sleep(0.5)


class MovingAverage:
    """In the market while yesterday's close is above the average of the last `window` closes, in cash otherwise."""

    def __init__(self, window, history):
        self.window, self.closes = window, history[-window:]
        self.capital = self.position = self.gross = self.net = 0.0
        self.returns, self.high, self.drawdown = [], 0.0, 0.0
        self.trades = self.wins = 0
        self.entry = 0.0

    def trade(self, close):
        """One day: trades at the open on yesterday's signal, and is marked at the close."""
        yesterday = self.closes[-1]
        wanted = self.capital if yesterday > sum(self.closes) / len(self.closes) else 0.0
        cost = abs(wanted - self.position) * COST
        if self.position == 0 and wanted > 0:
            self.entry = self.net
        if self.position > 0 and wanted == 0:
            self.trades += 1
            self.wins += self.net - cost > self.entry
        self.position = wanted
        gained = wanted * (close / yesterday - 1)
        self.gross += gained
        self.net += gained - cost
        if self.capital > 0:
            self.returns.append((gained - cost) / self.capital)
            equity = sum(self.returns)
            self.high = max(self.high, equity)
            self.drawdown = max(self.drawdown, self.high - equity)
        self.closes = (self.closes + [close])[-self.window :]

    def figures(self):
        """Running totals since it began to trade, as Serin wants them reported."""
        return {
            "pnlUsd": f"{self.net:.2f}",
            "totalPnlUsd": f"{self.gross:.2f}",
            "trades": self.trades,
            "errors": 0,
            "drawdown": f"{self.drawdown:.6f}",
            "sharpeRatio": self.sharpe(),
            "winRate": f"{self.wins / self.trades:.4f}" if self.trades else None,
        }

    def sharpe(self):
        """Of daily returns, annualised; unknown before twenty days."""
        n = len(self.returns)
        if n < 20:
            return None
        mean = sum(self.returns) / n
        deviation = math.sqrt(sum((value - mean) ** 2 for value in self.returns) / (n - 1))
        return f"{mean / deviation * math.sqrt(252):.4f}" if deviation else None


def obey(bot, deployment, side, ended):
    """Holds and acknowledges every allocation, until the one that ends the trial."""
    query = """subscription ($id: ID!, $after: String!) {
      eventAppended(deploymentId: $id, types: [ALLOCATION_REQUESTED], after: $after) { cursor details } }"""
    for event in follow(query, {"id": deployment}, "eventAppended"):
        details = event["details"]
        held = details["canaryUsd" if side == "CANARY" else "stableUsd"]
        bot.capital = float(held)
        acknowledge({"deploymentId": deployment, "number": details["number"], "side": side, "heldUsd": held})
        if details["cause"] in LAST_CAUSES:
            ended.set()
            return


def acknowledge(answer):
    """Says what this side holds, until Serin has heard it. Saying the same twice changes nothing."""
    while True:
        try:
            return ask(
                "mutation ($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { message } }",
                {"input": answer},
            )
        except (OSError, RuntimeError) as error:
            print(f"an acknowledgement was lost: {error}", file=sys.stderr)
            time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--side", required=True, choices=["CANARY", "STABLE"])
    parser.add_argument("--window", type=int, default=50, help="closes in the average")
    parser.add_argument("--from", dest="first", default="2008-12-12", help="the first day it trades")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two days")
    given = parser.parse_args()

    with open(PRICES, newline="") as file:
        prices = [(row["date"], float(row["close"])) for row in csv.DictReader(file)]
    history = [close for date, close in prices if date < given.first]
    bot, ended = MovingAverage(given.window, history), threading.Event()
    threading.Thread(target=obey, args=(bot, given.deployment, given.side, ended), daemon=True).start()

    name = "updateCanaryMetrics" if given.side == "CANARY" else "updateStableMetrics"
    report = f"mutation ($input: UpdateMetricsInput!) {{ {name}(input: $input) {{ success message }} }}"
    for _, close in prices[len(history) :]:
        if ended.wait(given.every):
            break
        bot.trade(close)
        try:
            ask(report, {"input": {"deploymentId": given.deployment, **bot.figures()}})
        except (OSError, RuntimeError) as error:  # figures are running totals: the next report makes up for it
            print(f"a report was lost: {error}", file=sys.stderr)
    ended.wait()
    print(f"ma-{given.window} traded as {given.side}: {json.dumps(bot.figures())}")


if __name__ == "__main__":
    main()
