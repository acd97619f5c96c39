/** Grafana's dashboards as files, and what their panels draw from two scrapes of `/metrics`. */
import { readFileSync } from 'node:fs';
import type { TestSerin } from '../harness/serin.ts';
import { evaluate, type Sample, type Scrapes } from './promql.ts';

export interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export type Labels = Readonly<Record<string, string>>;

export const DASHBOARDS = ['ops/grafana-dashboard.json', 'ops/grafana-canaries.json'] as const;

export const readPanels = (file: (typeof DASHBOARDS)[number]): Panel[] =>
  JSON.parse(readFileSync(file, 'utf8')).panels;

export const scrape = async (node: TestSerin): Promise<string> => (await fetch(`${node.url}/metrics`)).text();

/** What a panel draws: the value of each of its lines, by legend. */
export function drawn(panels: readonly Panel[], title: string, scrapes: Scrapes): Record<string, number> {
  const panel = panels.find((one) => one.title === title);
  const lines = (panel?.targets ?? []).flatMap(({ expr, legendFormat }) =>
    evaluate(expr, scrapes).map(({ labels, value }): [string, number] => {
      const legend = legendFormat.replace(/\{\{(\w+)\}\}/g, (_all, label: string) => labels[label] ?? '');
      return [legend, value];
    }),
  );
  return Object.fromEntries(lines);
}

/** The sum of the samples of a metric that have these labels. */
export const total = (samples: readonly Sample[], name: string, labels: Labels = {}): number =>
  samples.filter((sample) => isOf(sample, name, labels)).reduce((sum, { value }) => sum + value, 0);

/** Whether a sample is of a metric and has these labels, among others. */
export const isOf = ({ labels: all }: Sample, name: string, labels: Labels): boolean =>
  all.__name__ === name && Object.entries(labels).every(([label, value]) => all[label] === value);

/** Matches a number in a range, both ends included. */
export const between = (low: number, high: number) => ({
  asymmetricMatch: (value: unknown) => typeof value === 'number' && value >= low && value <= high,
});
