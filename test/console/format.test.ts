/** Figures and sentences of the console without a browser: the functions and parts that write them. */
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';
import type { Data } from '../harness/serin.ts';

/** The console is checked by a project of its own: here it is loaded without its types. */
const load = (path: string): Promise<Data> => import(/* @vite-ignore */ `../../console/src/${path}`);

const format = await load('format.ts');
/** What a part of a page reads, its narrow spaces as plain ones. */
const textOf = (part: Data, props: Data): string =>
  plain(renderToStaticMarkup(createElement(part, props)).replace(/<[^>]+>/g, ' '));
const plain = (text: string): string => text.replace(/[\s\u202f]+/g, ' ').trim();

describe('a length of time', () => {
  test.each([
    [35, '35 s'],
    [60, '1 min'],
    [90, '1 min 30 s'],
    [125, '2 min 05 s'],
    [150, '2 min 30 s'],
    [3600, '1 h 00 min'],
    [7530, '2 h 05 min'],
    [200_000, '2 d 7 h'],
    [-3, '0 s'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
  ])('%s seconds read "%s"', (seconds, text) => {
    expect(plain(format.duration(seconds))).toBe(text);
  });
});

describe('what a new deployment will do', async () => {
  const { Effects } = await load('creation/Effects.tsx');
  const names = { canaryVersionId: 'v2', capitalUsd: '50000' };

  test('is told in words and money', () => {
    const draft = { canaryPercent: '20', checkIntervalSeconds: '90', observationPeriodMinutes: '6000' };
    expect(textOf(Effects, { names, draft })).toBe(
      'Immediately, v2 is asked to hold 20 % ($10,000) of the capital; the stable version holds the rest. ' +
        'Both are checked every 1 min 30 s for 4 d 4 h: 4,000 checks.',
    );
  });

  test.each([{ checkIntervalSeconds: '1o' }, { steps: '10:20, 1e999:5' }, { steps: '10:1e999' }])(
    'is not told while a figure is none: %o',
    (draft) => expect(textOf(Effects, { names, draft })).toBe(''),
  );
});

describe('a percentage that was set', async () => {
  test.each([
    [0.07, '7 %'],
    [0.001, '0.1 %'],
    [0.0125, '1.25 %'],
    [0.0004, '0.04 %'],
    [0.000_012_3, '0.0012 %'],
    [0, '0 %'],
    [0.123_45, '12.35 %'],
  ])('of %s reads "%s"', (fraction, text) => {
    expect(plain(format.percentOfLimit(fraction))).toBe(text);
  });

  test('shows in the guardrails, and what was measured beside it', async () => {
    const { GuardrailList } = await load('deployment/GuardrailList.tsx');
    const guardrails = {
      maxLossUsd: null,
      maxLossPercent: null,
      maxDrawdown: null,
      maxErrorRate: '0.0004',
      maxStaleSeconds: null,
      breaches: {},
    };
    const deployment = {
      status: 'RUNNING',
      startedAt: '2026-11-28T12:00:00Z',
      config: { guardrails, tradingHours: null },
      canaryMetrics: { metrics: { netPnlUsd: '0' }, errorRate: '0.0003', reportedAt: null },
    };
    expect(textOf(GuardrailList, { deployment, now: 0 })).toBe(
      'Guardrails Error rate 0.03 % of at most 0.04 %',
    );
  });
});

describe('the numbers of a chart', async () => {
  const { stepOf } = await load('charts/step.ts');

  test.each([
    [0.01, 2],
    [0.000_25, 3],
    [0.000_001, 4],
    [0, 2],
  ])('whose ticks are %s apart have %s digits after the point', (step, digits) => {
    expect(format.percentDigits(step)).toBe(digits);
  });

  test('tell its points apart, however small they are', () => {
    expect(format.percentDigits(stepOf([[null, 0.02], [0.01]]))).toBe(2);
    expect(format.percentDigits(stepOf([[0.000_012], [-0.000_003]]))).toBe(5);
    expect(format.percentDigits(stepOf([[0, null], []]))).toBe(2);
  });
});

test('a market that is closed is not silent', async () => {
  const { alertsOf } = await load('overview/Card.tsx');
  const { guardrailDistances } = await load('overview/risk.ts');
  const weekdays = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY'];
  const sessions = [{ days: weekdays, dates: [], open: '09:30', close: '16:00' }];
  const side = { reportedAt: '2026-11-20T20:59:50Z', returnOnCapital: '0', metrics: { netPnlUsd: '0' } };
  const card = {
    status: 'RUNNING',
    startedAt: '2026-11-20T15:00:00Z',
    allocation: null,
    canaryMetrics: side,
    stableMetrics: side,
    config: {
      checkIntervalSeconds: 60,
      guardrails: {
        maxLossUsd: null,
        maxLossPercent: null,
        maxDrawdown: null,
        maxErrorRate: null,
        maxStaleSeconds: 900,
      },
      tradingHours: { timeZone: 'America/New_York', sessions, closed: [] },
    },
  };
  const sunday = Date.parse('2026-11-22T12:00:00Z');
  expect(alertsOf(card, sunday)).toEqual([]);
  expect(guardrailDistances(card, sunday)).toMatchObject([{ measured: 10 }]);
  const afterOpening = Date.parse('2026-11-23T14:39:50Z');
  expect(alertsOf(card, afterOpening).map(plain)).toEqual(['No report from either side for 10 min']);
  const past = [{ days: [], dates: ['2026-11-20'], open: '09:30', close: '16:00' }];
  const tradingHours = { timeZone: 'America/New_York', sessions: past, closed: [] };
  const over = { ...card, config: { ...card.config, tradingHours } };
  expect(alertsOf(over, sunday).map(plain)).toEqual(['No report from either side for 39 h 00 min']);
});
