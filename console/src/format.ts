/** Numbers, money, durations and instants as people read them. Decimals come as strings and are only shown, never added up. */
import { serinNow } from './api/clock';

const MINUS = '−';
/** A narrow space that does not break, between a number and its unit. */
const GAP = '\u202f';

const signed = (text: string, value: number) => minus(value > 0 ? `+${text}` : text);

/** With a minus of its own width; what is rounded to zero has no sign. */
const minus = (text: string) => text.replace('-', /[1-9]/.test(text) ? MINUS : '');

/** `$10,250`; cents below a hundred dollars. */
export function usd(amount: string | number | null | undefined): string {
  if (amount === null || amount === undefined) return '–';
  const value = Number(amount);
  const digits = Math.abs(value) < 100 && !Number.isInteger(value) ? 2 : 0;
  const text = Math.abs(value).toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return minus(`${value < 0 ? '-' : ''}$${text}`);
}

/** `$10.3k`, `$1.25M`: for places where room is short. */
export function usdShort(amount: number): string {
  const size = Math.abs(amount);
  // The unit is that of what is shown: $999,999 is $1M.
  const value = Number(size.toPrecision(size < 9999.5 ? 4 : 3));
  const [by, unit] =
    value >= 1e9 ? [1e9, 'B'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e4 ? [1e3, 'k'] : [1, ''];
  const text = (value / by).toLocaleString('en-US', { maximumSignificantDigits: by === 1 ? 4 : 3 });
  return minus(`${amount < 0 ? '-' : ''}$${text}${unit}`);
}

/** `+$10,250`. */
export function usdChange(amount: string | number | null | undefined): string {
  if (amount === null || amount === undefined) return '–';
  const text = usd(amount);
  return `${Number(amount) > 0 && /[1-9]/.test(text) ? '+' : ''}${text}`;
}

/** A fraction as `+0.35 %`. */
export function percentChange(fraction: number | null | undefined, digits = 2): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return '–';
  return `${signed((fraction * 100).toFixed(digits), Number((fraction * 100).toFixed(digits)))}${GAP}%`;
}

/** A fraction as `0.35 %`, without a plus. */
export function percent(fraction: number | string | null | undefined, digits = 2): string {
  if (fraction === null || fraction === undefined) return '–';
  const value = Number(fraction) * 100;
  return Number.isFinite(value) ? `${minus(value.toFixed(digits))}${GAP}%` : '–';
}

/** Two digits that are not zero, or two after the point, whichever says more. */
const FINE: Intl.NumberFormatOptions = {
  maximumFractionDigits: 2,
  maximumSignificantDigits: 2,
  roundingPriority: 'morePrecision',
};

/** A fraction that was set, or is held against such a one: `7 %`, and `0.04 %` although it is small. */
export function percentOfLimit(fraction: number): string {
  return `${minus((fraction * 100).toLocaleString('en-US', FINE))}${GAP}%`;
}

/** Digits after the point with which percentages of fractions that are `step` apart differ, at least two. */
export function percentDigits(step: number): number {
  const percents = step * 100;
  let digits = 2;
  while (digits < 10 && Math.abs(Number(percents.toFixed(digits)) / percents - 1) > 1e-6) digits += 1;
  return digits;
}

/** A decimal with at most so many digits after the point, without zeros at the end. */
export function decimal(value: string | number | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return '–';
  return minus(Number(value).toLocaleString('en-US', { maximumFractionDigits: digits }));
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toLocaleString('en-US');
}

/** `2 h 05 min`, `4 min`, `1 min 30 s`, `35 s`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}${GAP}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    const rest = whole % 60;
    return `${minutes}${GAP}min${rest === 0 ? '' : ` ${String(rest).padStart(2, '0')}${GAP}s`}`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}${GAP}h ${String(minutes % 60).padStart(2, '0')}${GAP}min`;
  return `${Math.floor(hours / 24)}${GAP}d ${hours % 24}${GAP}h`;
}

const MINUTE = { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' } as const;
const DATE_TIME = new Intl.DateTimeFormat(undefined, MINUTE);
const YEAR_TOO = new Intl.DateTimeFormat(undefined, { ...MINUTE, year: 'numeric' });
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** In the viewer's zone: `28 Nov, 13:05`; with its year where that is not the present one. */
export function dateTime(instant: string | number): string {
  const date = new Date(instant);
  const isThisYear = date.getFullYear() === new Date(serinNow()).getFullYear();
  return (isThisYear ? DATE_TIME : YEAR_TOO).format(date);
}

/** Whether it is on the present day of the viewer's zone. */
export const isToday = (instant: string | number): boolean =>
  new Date(instant).toDateString() === new Date(serinNow()).toDateString();

/** In the viewer's zone: `13:05:09`. */
export const timeOfDay = (instant: string | number): string => TIME.format(new Date(instant));

/** `OBSERVATION_COMPLETE` as `Observation complete`. */
export function words(name: string): string {
  const text = name.toLowerCase().replaceAll('_', ' ');
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
}
