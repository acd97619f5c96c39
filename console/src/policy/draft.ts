/**
 * A policy as its form has it: texts by the path of the setting, nothing where the default stands. It travels in the
 * address, so that a policy can be shared.
 */
import type { CanaryConfigInput, PolicyAssumptionsInput } from '../api/generated/graphql';

export type Draft = Readonly<Record<string, string>>;

export interface Setting {
  /** As the API names it: `promotionCriteria.minPnlRatio`. */
  readonly path: string;
  readonly label: string;
  readonly kind: 'decimal' | 'whole' | 'number' | 'ramp' | 'yesNo' | 'text' | readonly string[];
  /** The default, shown while nothing is given. */
  readonly standard: string;
  /** Whether `none` switches it off. */
  readonly mayBeOff?: boolean;
}

export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly Setting[];
}

const setting = (path: string, label: string, kind: Setting['kind'], standard: string): Setting => ({
  path,
  label,
  kind,
  standard,
});

export const POLICY_GROUPS: readonly SettingGroup[] = [
  {
    title: 'Ramp',
    settings: [
      setting('canaryPercent', 'Canary’s share, %', 'decimal', '10'),
      setting('observationPeriodMinutes', 'Observation, minutes', 'whole', '60'),
      setting('steps', 'Or steps, percent:minutes (10:20, 25:40m; m: manual)', 'ramp', 'none'),
      setting('checkIntervalSeconds', 'Check every, seconds', 'whole', '60'),
    ],
  },
  {
    title: 'Evidence',
    settings: [
      setting('evidence.mode', 'Mode', ['AUTO', 'REQUIRED', 'OFF'], 'AUTO'),
      setting('evidence.alpha', 'Error rate of the test', 'number', '0.03'),
      setting('evidence.minSamples', 'Effective pairs needed', 'whole', '20'),
      setting('evidence.margin', 'Margin, basis points a day', 'number', '0'),
      setting('comparison', 'Returns compared', ['RAW', 'RISK_MATCHED'], 'RAW'),
      setting('earlyPromote', 'Early promotion', 'yesNo', 'false'),
    ],
  },
  {
    title: 'Gates',
    settings: [
      setting('promotionCriteria.minPnlRatio', 'Return, at least × stable', 'decimal', '0.9'),
      setting('promotionCriteria.maxDrawdownRatio', 'Drawdown, at most × stable', 'decimal', '1.2'),
      setting('promotionCriteria.minSharpeRatio', 'Sharpe ratio, at least × stable', 'decimal', '0.8'),
      setting('promotionCriteria.minWinRateRatio', 'Win rate, at least × stable', 'decimal', '0.8'),
      setting('promotionCriteria.minTrades', 'Trades, at least', 'whole', '5'),
      setting('promotionCriteria.maxErrorRate', 'Error rate, at most', 'decimal', '0.1'),
      setting('promotionCriteria.maxErrorRateRatio', 'Error rate, at most × stable', 'decimal', 'none'),
      setting('promotionCriteria.requirePositivePnl', 'PnL must be positive', 'yesNo', 'false'),
    ],
  },
  {
    title: 'Guardrails',
    settings: [
      setting('guardrails.maxLossPercent', 'Loss of its capital, %', 'decimal', '20'),
      setting('guardrails.maxLossUsd', 'Loss, USD', 'decimal', 'none'),
      setting('guardrails.maxDrawdown', 'Drawdown, fraction', 'decimal', 'none'),
      setting('guardrails.maxErrorRate', 'Error rate', 'decimal', 'none'),
      setting('guardrails.maxStaleSeconds', 'Stale after, seconds', 'whole', '5 checks'),
    ],
  },
  {
    title: 'At the end',
    settings: [
      setting('onInconclusive', 'When inconclusive', ['WAIT', 'ROLLBACK', 'EXTEND'], 'WAIT'),
      setting('maxExtensions', 'Extensions, at most', 'whole', '3'),
      setting('autoPromote', 'Automatic promotion', 'yesNo', 'true'),
      setting('autoRollback', 'Automatic rollback', 'yesNo', 'true'),
    ],
  },
];

/** Settings that a simulation does not depend on. */
export const PEOPLE_GROUP: SettingGroup = {
  title: 'Approval and sources',
  settings: [
    setting('requireApproval', 'Two-person approval', 'yesNo', 'false'),
    setting('emitEvents', 'Events in timeline and webhooks', 'yesNo', 'true'),
    setting('metricsProvider', 'Metrics provider', 'text', 'bots report'),
  ],
};

export const ASSUMPTION_SETTINGS: readonly Setting[] = [
  setting('volatility', 'Return between checks, standard deviation', 'number', '0.001 a minute'),
  setting('tradesPerCheck', 'Trades per check', 'number', '1'),
  setting('correlation', 'Correlation of the sides', 'number', '0.6'),
  setting('edge', 'Mean return of stable, standard deviations', 'number', '0.05'),
  setting('difference', 'Better or worse by, standard deviations', 'number', '0.5'),
  setting('capitalUsd', 'Capital, USD', 'number', '100000'),
  setting('runs', 'Runs of each kind', 'whole', '500'),
  setting('seed', 'Seed', 'whole', '1'),
];

/** The value of a setting as the API takes it. A text that is no number is passed on: the API says what is wrong. */
function inputOf({ kind, mayBeOff = false }: Setting, text: string): unknown {
  if (mayBeOff && text === 'none') return null;
  if (kind === 'yesNo') return text === 'true';
  if (kind === 'whole' || kind === 'number') return Number.isNaN(Number(text)) ? text : Number(text);
  if (kind !== 'ramp') return text;
  return text.split(',').map((step) => {
    const { percent, minutes, manual } = readStep(step);
    return { canaryPercent: percent, minutes: Number(minutes), ...(manual ? { gate: 'MANUAL' } : {}) };
  });
}

/** `25:40m`: 25 % for 40 minutes, and a person begins what follows. */
function readStep(text: string): {
  readonly percent: string;
  readonly minutes: string;
  readonly manual: boolean;
} {
  const [percent = '', minutes = ''] = text.split(':').map((part) => part.trim());
  return { percent, minutes: minutes.replace(/m$/, ''), manual: minutes.endsWith('m') };
}

/** The steps of a draft as numbers; NaN where a text is no number. */
export function rampOf(draft: Draft): { readonly percent: number; readonly minutes: number }[] {
  const text = draft.steps?.trim();
  if (!text) {
    const percent = Number(draft.canaryPercent?.trim() || 10);
    return [{ percent, minutes: Number(draft.observationPeriodMinutes?.trim() || 60) }];
  }
  return text
    .split(',')
    .map(readStep)
    .map(({ percent, minutes }) => ({ percent: Number(percent), minutes: Number(minutes) }));
}

function nested(settings: readonly Setting[], draft: Draft): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const each of settings) {
    const text = draft[each.path]?.trim() ?? '';
    if (text === '') continue;
    const [first = '', second] = each.path.split('.');
    const value = inputOf(each, text);
    if (second === undefined) input[first] = value;
    else input[first] = { ...asRecord(input[first]), [second]: value };
  }
  return input;
}

const asRecord = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

export const configOf = (draft: Draft, groups: readonly SettingGroup[] = POLICY_GROUPS): CanaryConfigInput =>
  nested(
    groups.flatMap(({ settings }) => settings),
    draft,
  );

export const assumptionsOf = (draft: Draft): PolicyAssumptionsInput => nested(ASSUMPTION_SETTINGS, draft);

/** A draft from the address; an empty one where it cannot be read. */
export function readDraft(text: string | null): Draft {
  if (text === null) return {};
  try {
    const value: unknown = JSON.parse(text);
    const entries = Object.entries(asRecord(value)).filter(([, each]) => typeof each === 'string');
    return Object.fromEntries(entries);
  } catch {
    return {};
  }
}

/** What the address says of a draft; null where everything is at its default. */
export function writeDraft(draft: Draft): string | null {
  const given = Object.entries(draft).filter(([, text]) => text.trim() !== '');
  return given.length === 0 ? null : JSON.stringify(Object.fromEntries(given));
}
