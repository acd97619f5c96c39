/** The demo's screen: it fits every terminal, and shows both sides in the same units. */
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DeploymentStatus, SideStatus, TimelineEvent } from '../../demo/api.ts';
import { createScreen, type Output } from '../../demo/screen.ts';
import { inColour } from '../../demo/style.ts';
import { terminalPicture } from '../../scripts/terminalPicture.ts';

function side(versionId: string, capitalUsd: string, netPnlUsd: string): SideStatus {
  const metrics = { netPnlUsd, maxDrawdown: '0.131', sharpeRatio: '0.69', winRate: null };
  return { versionId, capitalAllocatedUsd: capitalUsd, tradeCount: 15, metrics };
}

function status(canaryPnlUsd: string, stablePnlUsd: string, reason = 'Every gate passed'): DeploymentStatus {
  return {
    id: 'dep_1',
    status: 'RUNNING',
    strategyId: 'sp500-trend',
    canaryVersionId: 'ma-20',
    stableVersionId: 'ma-50',
    observationRemainingSeconds: 600,
    config: { observationPeriodMinutes: 50 },
    step: { number: 2, of: 2, canaryPercent: '25' },
    canaryMetrics: side('ma-20', '100000', canaryPnlUsd),
    stableMetrics: side('ma-50', '1000000', stablePnlUsd),
    comparison: {
      decision: 'PROMOTE',
      decisionReasons: [reason],
      gates: [
        { name: 'ERROR_RATE', outcome: 'PASSED' },
        { name: 'EVIDENCE', outcome: 'NOT_APPLICABLE' },
      ],
      evidence: { summary: 'Evidence: still open, the difference is within noise (79 paired samples)' },
    },
  };
}

/** What a terminal of this width would show, with its colours. */
function record(columns: number) {
  const printed: string[] = [];
  let panel: readonly string[] = [];
  const output: Output = {
    columns: () => columns,
    paint: inColour,
    print: (lines) => void printed.push(...lines),
    redraw: (lines) => {
      panel = lines;
    },
    settle() {},
  };
  const text = (lines: readonly string[]) => lines.map((line) => stripVTControlCharacters(line));
  return { screen: createScreen(output), printed: () => text(printed), panel: () => text(panel) };
}

function decided(verdict: string, type = 'DECISION_MADE'): TimelineEvent {
  const reasons = ['Every gate passed', `Evidence: ${'of many words '.repeat(12)}`];
  return {
    type,
    at: '2026-01-02T03:04:05.000Z',
    actor: 'serin',
    description: 'Decision PROMOTE: Every gate passed',
    payload: type === 'DECISION_MADE' ? { reasons, record: { comparison: { evidence: { verdict } } } } : {},
  };
}

test('no line is wider than the terminal, whatever it has to say', () => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 50, unit: 'grapheme-ascii' }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(fc.integer({ min: 42, max: 200 }), words, (columns, given) => {
      const { screen, printed, panel } = record(columns);
      const reason = given.join(' ');
      screen.say(`  ${reason}`);
      screen.heading('A faster moving average, in two steps: 10 % of the capital, then 25 %');
      screen.event(decided('OPEN'));
      screen.show(status('0', '0', reason), '2009-01-02');
      screen.show(status('5000', '-3186.07', reason), '2009-01-05');
      for (const line of [...printed(), ...panel()]) expect(line.length).toBeLessThanOrEqual(columns);
    }),
  );
});

test('both sides are drawn on one scale, as return on the capital each held', () => {
  const { screen, panel } = record(100);
  screen.show(status('0', '0'), '2009-01-02');
  screen.show(status('10000', '50000'), '2009-01-05');
  const lines = panel();
  // 10 % of 100,000 is twice the return of 5 % of 1,000,000.
  expect(lines).toContain('  return on capital, both on one scale: 0.0 % to 10.0 %');
  expect(lines).toContain('  canary  ▁█');
  expect(lines).toContain('  stable  ▁▅');
  const canary = lines.find((line) => line.includes('$100,000'));
  expect(canary?.split(/\s{2,}/)).toEqual([
    '',
    'canary',
    '$100,000',
    '$10,000',
    '10.0 %',
    '15',
    '13.1 %',
    '0.69',
    '–',
  ]);
});

test('money has its sign before the dollar and commas between thousands', () => {
  const { screen, panel } = record(100);
  screen.show(status('0', '-3186.07'), '2009-01-02');
  expect(panel().join('\n')).toContain('-$3,186');
  expect(panel().join('\n')).toContain('$1,000,000');
});

test('a promotion within noise is explained, a proven one is not', () => {
  const explained = (verdict: string) => {
    const { screen, printed } = record(100);
    screen.event(decided(verdict));
    screen.event(decided(verdict, 'CANARY_PROMOTED'));
    return printed().join('\n').includes('Promoted although the difference is within noise');
  };
  expect(explained('OPEN')).toBe(true);
  expect(explained('NOT_WORSE')).toBe(false);
});

test('the picture is one SVG that has every line of the screen', () => {
  const { screen, printed } = record(80);
  screen.heading('1 < 2 & so on');
  const svg = terminalPicture([inColour(['bold', 'green'], 'promoted'), ...printed()], 80, 'a "title"');
  expect(svg).toContain('font-weight="bold"');
  expect(svg).toContain('1 &lt; 2 &amp; so on');
  expect(svg.match(/<text /g)).toHaveLength(2);
  expect(svg).not.toContain('\u001b');
});
