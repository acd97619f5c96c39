/** How the values of the API are written for a person. */
import { Decimal, parseExactDecimal } from '../core/values/decimal.ts';
import { dollars, percent } from '../core/values/format.ts';
import type { Style } from './terminal.ts';

const UNKNOWN = '–';

/** `$1,000,000`; a dash where there is none. */
export function money(usd: string | null | undefined): string {
  return usd == null ? UNKNOWN : dollars(new Decimal(usd));
}

/** The return on the capital that a side held while it earned, as percent with its sign; a dash before its first report. */
export function returnOn(figures: SideFigures | null): string {
  return figures?.reportedAt == null ? UNKNOWN : percent(new Decimal(figures.returnOnCapital));
}

export interface SideFigures {
  readonly capitalAllocatedUsd: string;
  readonly returnOnCapital: string;
  readonly reportedAt: string | null;
  readonly metrics: { readonly netPnlUsd: string };
}

export const share = (value: string): string => `${new Decimal(value)} %`;

/** `2 d 4 h`, `38 min`, `12 s`: the two largest units. */
export function duration(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0) parts.push(`${count} ${unit}`);
    if (parts.length === 2) break;
  }
  return parts.slice(0, parts[0]?.endsWith('min') ? 1 : 2).join(' ') || '0 s';
}

/** A moment in the zone of the machine: the time alone today, with the date otherwise. */
export function moment(at: string | null): string {
  if (at === null) return UNKNOWN;
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The message of a result; one that a retry got says so. */
export const sentenceOf = (message: string, replayed: boolean): string =>
  replayed ? `${message} (answered before)` : message;

/** `OBSERVATION_COMPLETE` as `observation complete`. */
export const words = (name: string): string => name.toLowerCase().replaceAll('_', ' ');

const STYLES: Readonly<Record<string, Style>> = {
  PENDING: 'dim',
  RUNNING: 'green',
  PAUSED: 'yellow',
  OBSERVATION_COMPLETE: 'yellow',
  PROMOTED: 'green',
  ROLLED_BACK: 'red',
  FAILED: 'red',
  CANCELLED: 'dim',
  WORSE: 'red',
  NOT_WORSE: 'green',
  PROMOTE: 'green',
  ROLLBACK: 'red',
  MANUAL_REVIEW: 'yellow',
};

export const styleOf = (name: string): Style | null => STYLES[name] ?? null;

/** A comma stands between thousands only: read elsewhere, `1000,50` with a decimal comma would be a hundred times as much. */
const MONEY = /^\$?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)([km]?)$/i;

/** USD as typed by a person: `1000000`, `1,000,000`, `$1m`, `250k`. Null if it is not an amount. */
export function readMoney(text: string): string | null {
  const [, figure = '', unit = ''] = MONEY.exec(text.trim()) ?? [];
  const amount = parseExactDecimal(figure.replaceAll(',', ''));
  if (typeof amount === 'string') return null;
  const times = { '': 1, k: 1000, m: 1_000_000 }[unit.toLowerCase()] ?? 1;
  return amount.times(times).toFixed();
}
