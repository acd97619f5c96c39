#!/usr/bin/env python3
"""A strategy bot in Python, standard library only: it trades, reports, and holds the capital that Serin allocates.

    python3 examples/bot.py --deployment dep_first --side STABLE --window 50

It trades one day of the S&P 500 per second; --every changes that. SERIN_URL is the GraphQL endpoint, SERIN_TOKEN the
bot's API key or token. It can be started before the deployment is there, and again at any time.
Two threads: one follows the feed of allocations, the other trades and reports.
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
LAST_CAUSES = {"PROMOTE", "ROLLBACK", "CANCEL", "FAIL"}  # an allocation for one of these is the last one
DAYS_PER_LINE = 20  # between two lines about the figures, unless a trade was closed
OUTCOME = "{ success message error { code } }"

said = {"last": None, "name": "bot"}


def say(sentence):
    """Prints what the bot does; the same sentence only once, however often its cause comes again."""
    if sentence != said["last"]:
        said["last"] = sentence
        print(f"{said['name']}: {sentence}", flush=True)


def dollars(value):
    """Money as a person reads it: $1,000,000 and -$3,186.07."""
    amount = f"{abs(value):,.2f}".removesuffix(".00")
    return f"{'-' if value < 0 and amount != '0' else ''}${amount}"


def post(query, variables, accept="application/json", timeout=10):
    """Sends one operation; returns the open response."""
    headers = {"content-type": "application/json", "accept": accept}
    if token := os.environ.get("SERIN_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    body = json.dumps({"query": query, "variables": variables}).encode()
    return urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=timeout)


def ask(query, variables):
    """The answer to one operation. A refusal is such an answer; anything else that goes wrong is an exception."""
    with post(query, variables) as response:
        body = json.load(response)
    if body.get("errors"):
        raise RuntimeError("; ".join(error["message"] for error in body["errors"]))
    return body["data"]["answer"]


def say_if_refused(what, outcome):
    """A refusal is an answer, not an exception: nothing has changed, and the error says why."""
    if not outcome["success"]:
        say(f"{what} refused, {outcome['error']['code']}: {outcome['message']}")


def follow(query, variables, field):
    """Yields what a feed with cursors delivers, endlessly: every event once, over any number of broken connections."""
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
            say(f"The feed of allocations broke and is opened again: {error}")
        time.sleep(0.5)


class MovingAverage:
    """In the market while yesterday's close is above the average of the last `window` closes, in cash otherwise."""

    def __init__(self, window, history):
        self.window, self.closes = window, history[-window:]
        self.capital = self.position = self.gross = self.net = 0.0
        self.returns, self.high, self.drawdown = [], 0.0, 0.0
        self.trades = self.wins = self.errors = 0
        self.entry = 0.0

    def go_on_from(self, figures):
        """Adds its own trades to these totals from now on. Its Sharpe ratio begins anew: that needs every return."""
        metrics = figures["metrics"]
        self.net, self.gross = float(metrics["netPnlUsd"]), float(metrics["totalPnlUsd"])
        self.trades, self.errors = figures["tradeCount"], figures["errorCount"]
        self.wins = round(float(metrics["winRate"] or 0) * self.trades)
        self.drawdown = float(metrics["maxDrawdown"])

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
        """Running totals since the deployment started, as Serin expects them in a report."""
        return {
            "pnlUsd": f"{self.net:.2f}",
            "totalPnlUsd": f"{self.gross:.2f}",
            "trades": self.trades,
            "errors": self.errors,
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


def begin(bot, deployment, side):
    """Waits until the deployment exists and has capital, then goes on from the totals that Serin has of this side."""
    field = "canaryMetrics" if side == "CANARY" else "stableMetrics"
    query = f"""query ($id: ID!) {{ answer: deployment(id: $id) {{ status {field} {{
      tradeCount errorCount metrics {{ netPnlUsd totalPnlUsd maxDrawdown winRate }} }} }} }}"""
    while True:
        try:
            found = ask(query, {"id": deployment})
            if found and found["status"] != "PENDING":
                break
            if found:
                say(f"Deployment {deployment} has no capital yet; waiting for deployCanary.")
            else:
                say(f"There is no deployment {deployment} yet; waiting for createDeployment.")
        except (OSError, RuntimeError) as error:
            say(f"Serin cannot be reached at {URL}; trying again: {error}")
        time.sleep(1)
    if found[field]:
        bot.go_on_from(found[field])
        say(
            f"{deployment} is {found['status']}; the {side} side goes on from {bot.trades} trades, "
            f"net PnL {dollars(bot.net)}."
        )


def obey(bot, deployment, side, ended):
    """Holds and acknowledges every allocation, until the one that ends the deployment."""
    query = """subscription ($id: ID!, $after: String!) {
      eventAppended(deploymentId: $id, types: [ALLOCATION_REQUESTED], after: $after) { cursor details } }"""
    for event in follow(query, {"id": deployment}, "eventAppended"):
        details = event["details"]
        number, cause = details["number"], details["cause"]
        held = details["canaryUsd" if side == "CANARY" else "stableUsd"]
        bot.capital = float(held)
        acknowledge({"deploymentId": deployment, "number": number, "side": side, "heldUsd": held})
        say(f"Allocation {number} ({cause}): the {side} side holds {dollars(bot.capital)}.")
        if cause in LAST_CAUSES:
            ended.set()
            return


def acknowledge(held):
    """Tells Serin what this side holds, until it has an answer. The same twice changes nothing."""
    mutation = f"""mutation ($input: AcknowledgeAllocationInput!) {{
      answer: acknowledgeAllocation(input: $input) {OUTCOME} }}"""
    while True:
        try:
            return say_if_refused("Acknowledgement", ask(mutation, {"input": held}))
        except (OSError, RuntimeError) as error:
            say(f"An acknowledgement was lost and is sent again: {error}")
            time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--side", required=True, choices=["CANARY", "STABLE"])
    parser.add_argument("--window", type=int, default=50, help="closes in the average")
    parser.add_argument("--from", dest="first", default="2008-12-12", help="the first day it trades")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two days")
    given = parser.parse_args()
    version = f"ma-{given.window}"
    said["name"] = f"{version} {given.side}"

    with open(PRICES, newline="") as file:
        prices = [(row["date"], float(row["close"])) for row in csv.DictReader(file)]
    history = [close for date, close in prices if date < given.first]
    if not history or len(history) == len(prices):
        parser.error(f"--from must lie between {prices[1][0]} and {prices[-1][0]}")
    bot, ended = MovingAverage(given.window, history), threading.Event()
    begin(bot, given.deployment, given.side)
    threading.Thread(target=obey, args=(bot, given.deployment, given.side, ended), daemon=True).start()

    name = "updateCanaryMetrics" if given.side == "CANARY" else "updateStableMetrics"
    report = f"mutation ($input: UpdateMetricsInput!) {{ answer: {name}(input: $input) {OUTCOME} }}"
    for day, (date, close) in enumerate(prices[len(history) :], start=1):
        if ended.wait(given.every):
            break
        trades = bot.trades
        bot.trade(close)
        if bot.trades > trades or day % DAYS_PER_LINE == 0:
            say(f"{date}: {bot.trades} trades, net PnL {dollars(bot.net)}.")
        try:
            say_if_refused("Report", ask(report, {"input": {"deploymentId": given.deployment, **bot.figures()}}))
        except (OSError, RuntimeError) as error:
            say(f"A report was lost; the next one has the same totals and more: {error}")
    else:
        print("There are no more prices; the bot holds its capital until the deployment ends.", flush=True)
    ended.wait()
    print(
        f"{given.deployment} has ended. {version} made {bot.trades} trades as {given.side}, "
        f"net PnL {dollars(bot.net)}."
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
