#!/usr/bin/env python3
"""A strategy bot in Python, standard library only: it trades, reports, and holds the capital that Serin allocates.

    python3 examples/bot.py --deployment dep_first --side STABLE --window 50

It trades one day of the S&P 500 per second; --every changes that. SERIN_URL is where Serin is, SERIN_KEY (or
SERIN_TOKEN) the bot's API key or token. It can be started before the deployment is there, and again at any time.
The client is clients/python of this repository: pip install ./clients/python.
"""
import argparse
import csv
import math
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "clients" / "python"))
from serin import Serin  # noqa: E402

PRICES = ROOT / "data" / "sp500-2000.csv"
COST = 0.0005  # of what is bought or sold: five basis points
DAYS_PER_LINE = 20  # between two lines about the figures, unless a trade was closed

said = {"last": None, "name": "bot"}


def say(sentence):
    """Prints what the bot does; the same sentence only once, however often its cause comes again."""
    if sentence != said["last"]:
        said["last"] = sentence
        print(f"{said['name']}: {sentence}", flush=True)


def dollars(value):
    """Money as a person reads it: $1,000,000 and -$3,186.07."""
    amount = f"{abs(value):,.2f}"
    amount = amount[:-3] if amount.endswith(".00") else amount
    return f"{'-' if value < 0 and amount != '0' else ''}${amount}"


def say_if_refused(what, outcome):
    """A refusal is an answer, not an exception: nothing has changed, and the error says why."""
    if not outcome["success"]:
        say(f"{what} refused, {outcome['error']['code']}: {outcome['message']}")


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
        """Running totals since the bot started; the client adds them to what the side had before."""
        return {
            "pnl_usd": f"{self.net:.2f}",
            "total_pnl_usd": f"{self.gross:.2f}",
            "trades": self.trades,
            "errors": 0,
            "drawdown": f"{self.drawdown:.6f}",
            "sharpe_ratio": self.sharpe(),
            "win_rate": f"{self.wins / self.trades:.4f}" if self.trades else None,
        }

    def sharpe(self):
        """Of daily returns, annualised; unknown before twenty days."""
        n = len(self.returns)
        if n < 20:
            return None
        mean = sum(self.returns) / n
        deviation = math.sqrt(sum((value - mean) ** 2 for value in self.returns) / (n - 1))
        return f"{mean / deviation * math.sqrt(252):.4f}" if deviation else None


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
    bot = MovingAverage(given.window, history)
    url = os.environ.get("SERIN_URL", "http://127.0.0.1:4000")
    key = os.environ.get("SERIN_KEY") or os.environ.get("SERIN_TOKEN")
    side = Serin(url, key, on_notice=say).side(given.deployment, given.side)
    if side.before:
        net = dollars(float(side.before["metrics"]["netPnlUsd"]))
        say(f"The {given.side} side goes on from {side.before['tradeCount']} trades, net PnL {net}.")

    def obey(allocation):
        bot.capital = float(allocation.capital_usd)
        say(f"Allocation {allocation.number} ({allocation.cause}): the {given.side} side holds {dollars(bot.capital)}.")

    holding = side.hold(obey)
    for day, (date, close) in enumerate(prices[len(history) :], start=1):
        if side.ended:
            break
        trades = bot.trades
        bot.trade(close)
        if bot.trades > trades or day % DAYS_PER_LINE == 0:
            say(f"{date}: {bot.trades} trades, net PnL {dollars(bot.net)}.")
        say_if_refused("Report", side.report(**bot.figures()))
        time.sleep(given.every)
    else:
        print("There are no more prices; the bot holds its capital until the deployment ends.", flush=True)
    holding.join()
    print(
        f"{given.deployment} has ended. {version} made {bot.trades} trades as {given.side}, "
        f"net PnL {dollars(bot.net)}."
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
