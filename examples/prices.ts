/** Real daily prices of the S&P 500, 2000 to 2020, for the bots to trade on (see `data/README.md`). */
import { readFileSync } from 'node:fs';

export interface MarketDay {
  /** `2008-12-12`. */
  readonly date: string;
  readonly close: number;
}

const FILE = new URL('../data/sp500-2000.csv', import.meta.url);

export function readPrices(): MarketDay[] {
  const [header = '', ...lines] = readFileSync(FILE, 'utf8').trim().split('\n');
  const names = header.split(',');
  const [date, close] = [names.indexOf('date'), names.indexOf('close')];
  return lines.map((line) => {
    const cells = line.split(',');
    return { date: cells[date] ?? '', close: Number(cells[close]) };
  });
}
