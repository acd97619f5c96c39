/**
 * A moving-average strategy: in the market while yesterday's close is above the average of the last `window` closes,
 * in cash otherwise, costs included. It trades a fixed notional: the capital that Serin allocated to it.
 */
import type { MarketDay } from './prices.ts';

export interface MovingAverageVersion {
  readonly id: string;
  /** Closes in the average. */
  readonly window: number;
  /** Sells and buys back its position every morning: the same signals, more turnover. */
  readonly reentersDaily?: boolean;
}

/** Running totals since the bot started, as the client expects them in a report. */
export interface Figures {
  readonly pnlUsd: string;
  readonly totalPnlUsd: string;
  readonly trades: number;
  readonly errors: number;
  readonly drawdown: string;
  readonly sharpeRatio: string | null;
  readonly winRate: string | null;
  readonly avgTradeSizeUsd: string;
}

/** What a trade costs: five basis points of what is bought or sold. */
const COST = 0.0005;
const TRADING_DAYS = 252;

export class MovingAverageTrader {
  readonly version: MovingAverageVersion;
  #closes: number[];
  #capital = 0;
  #position = 0;
  #gross = 0;
  #net = 0;
  #return = 0;
  #high = 0;
  #drawdown = 0;
  #entryNet = 0;
  #trades = 0;
  #wins = 0;
  #traded = 0;
  readonly #returns: number[] = [];

  /** @param history the days before the first one it trades on, the latest last */
  constructor(version: MovingAverageVersion, history: readonly MarketDay[]) {
    this.version = version;
    this.#closes = history.slice(-version.window - 1).map(({ close }) => close);
  }

  /** What Serin allocated, USD; an open position is grown or shrunk to it on the next day. */
  hold(capitalUsd: number): void {
    this.#capital = capitalUsd;
  }

  /** One day of the market: trades at the open on yesterday's signal, and is marked at the close. */
  trade({ close }: MarketDay): void {
    const yesterday = this.#closes.at(-1) ?? close;
    const wanted = this.#isUp() ? this.#capital : 0;
    const bought = this.#buyAndSell(wanted);
    const gained = wanted * (close / yesterday - 1);
    this.#gross += gained;
    this.#net += gained - bought * COST;
    if (this.#capital > 0) this.#mark((gained - bought * COST) / this.#capital);
    this.#closes = [...this.#closes, close].slice(-this.version.window - 1);
  }

  figures(): Figures {
    return {
      pnlUsd: this.#net.toFixed(2),
      totalPnlUsd: this.#gross.toFixed(2),
      trades: this.#trades,
      errors: 0,
      drawdown: this.#drawdown.toFixed(6),
      sharpeRatio: this.#sharpe()?.toFixed(4) ?? null,
      winRate: this.#trades > 0 ? (this.#wins / this.#trades).toFixed(4) : null,
      avgTradeSizeUsd: (this.#trades > 0 ? this.#traded / this.#trades : 0).toFixed(2),
    };
  }

  #isUp(): boolean {
    const window = this.#closes.slice(-this.version.window);
    const average = window.reduce((sum, close) => sum + close, 0) / window.length;
    return (this.#closes.at(-1) ?? 0) > average;
  }

  /** Moves the position to what is wanted; returns what was bought and sold for it, USD. */
  #buyAndSell(wanted: number): number {
    const held = this.#position;
    this.#position = wanted;
    if (held === 0 && wanted > 0) this.#entryNet = this.#net;
    if (held > 0 && wanted === 0) this.#close(held);
    if (held > 0 && wanted > 0 && this.version.reentersDaily) {
      this.#close(held);
      this.#entryNet = this.#net;
      return held + wanted;
    }
    return Math.abs(wanted - held);
  }

  #close(sold: number): void {
    this.#trades += 1;
    this.#traded += sold;
    if (this.#net - sold * COST > this.#entryNet) this.#wins += 1;
  }

  #mark(dayReturn: number): void {
    this.#returns.push(dayReturn);
    this.#return += dayReturn;
    this.#high = Math.max(this.#high, this.#return);
    this.#drawdown = Math.max(this.#drawdown, this.#high - this.#return);
  }

  /** Of daily returns, annualised; unknown before twenty days or without any variation. */
  #sharpe(): number | null {
    const returns = this.#returns;
    if (returns.length < 20) return null;
    const mean = returns.reduce((sum, value) => sum + value, 0) / returns.length;
    const squares = returns.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deviation = Math.sqrt(squares / (returns.length - 1));
    return deviation > 0 ? (mean / deviation) * Math.sqrt(TRADING_DAYS) : null;
  }
}
