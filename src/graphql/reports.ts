/** Mutations that report running totals, and their results. */
import type { ReportAnswer } from '../app/reports.ts';
import type { MetricsReport } from '../core/metrics/sideMetrics.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import type { Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { readClock } from '../store/postgres/database.ts';
import { builder, type Context, type InputFields } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { leaseFields } from './lease.ts';
import { SideType } from './metrics.ts';
import { DomainError } from './results.ts';

const MAX_REPORTS = 500;

const UpdateMetricsInput = builder.inputType('UpdateMetricsInput', {
  description: 'Running totals of one side. A field that is omitted (or null) keeps its value.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    ...reportFields(t),
  }),
});

const MetricsReportInput = builder.inputType('MetricsReportInput', {
  description: 'Running totals of one side. A field that is omitted (or null) keeps its value.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    side: t.field({ type: SideType, required: true, description: 'The side that reports.' }),
    ...reportFields(t),
  }),
});

/** The fields of both inputs that are about the figures. */
function reportFields(t: InputFields) {
  return {
    pnlUsd: t.field({
      type: 'Decimal',
      description:
        'Net profit and loss since the deployment, or the session, started, USD. Realised PnL if `unrealizedPnlUsd` is ' +
        'reported; otherwise send equity, open positions included.',
    }),
    unrealizedPnlUsd: t.field({
      type: 'Decimal',
      description:
        'Profit and loss of open positions now, USD. Once a side has sent it, every report with `pnlUsd` must have it.',
    }),
    totalPnlUsd: t.field({ type: 'Decimal', description: 'Profit and loss before costs, USD.' }),
    trades: t.int({ description: 'Number of trades. It can only grow within a session.' }),
    errors: t.int({ description: 'Number of errors. It can only grow within a session.' }),
    drawdown: t.field({
      type: 'Decimal',
      description: 'Largest fall from a high, as a fraction of capital: 0.05 is five percent.',
    }),
    sharpeRatio: t.field({
      type: 'Decimal',
      description: 'Sharpe ratio, computed the same way on both sides.',
    }),
    winRate: t.field({ type: 'Decimal', description: 'Winning trades over all trades, 0 to 1.' }),
    totalGasUsd: t.field({
      type: 'Decimal',
      description: 'Gas paid, USD. It can only grow within a session.',
    }),
    avgTradeSizeUsd: t.field({ type: 'Decimal', description: 'Average size of a trade, USD.' }),
    uptimeSeconds: t.int({ description: 'Seconds the side was up. It can only grow within a session.' }),
    session: t.string({
      description:
        "The bot's own name of this run, 1 to 200 characters. The totals of each session count from zero, and what " +
        'earlier sessions earned is kept. Without it, the totals must continue from `canaryMetrics` after a restart.',
    }),
    sequence: t.int({
      description:
        'Number of the report, rising within the session. A report that is not newer is answered `stale: true` and ' +
        'changes nothing.',
    }),
    asOf: t.field({
      type: 'DateTime',
      description:
        "When the figures were taken, on Serin's clock (see `now` and `clockRate` of the result). An older report is " +
        'stale. At most a minute in the future.',
    }),
    since: t.field({
      type: 'DateTime',
      description:
        'Since when the totals count; read in the first report of a session. If it is before the start of the ' +
        'deployment, these totals are the zero of the session.',
    }),
    baseline: t.boolean({
      description: 'Whether the totals of the first report of a session are its zero.',
    }),
  };
}

const ReportMetricsInput = builder.inputType('ReportMetricsInput', {
  description: 'Reports of any sides of any deployments.',
  fields: (t) => ({
    reports: t.field({
      type: [MetricsReportInput],
      required: true,
      description: `1 to ${MAX_REPORTS} reports, each taken or refused on its own.`,
    }),
  }),
});

interface Reported extends ReportAnswer {
  readonly deploymentId: string;
  readonly side: Side;
}

const UpdateMetricsResult = builder.objectRef<Reported>('UpdateMetricsResult').implement({
  description: 'The answer to one report.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether the report was accepted. An accepted report is on disk.',
      resolve: ({ refusal: no }) => no === null,
    }),
    message: t.string({
      description: 'What happened, for people.',
      resolve: ({ refusal: no, stale, side }) => {
        const name = side.toLowerCase();
        if (stale) return `A newer report of the ${name} side came before: nothing has changed`;
        return no?.message ?? `Metrics of the ${name} side updated`;
      },
    }),
    stale: t.exposeBoolean('stale', {
      description: 'Whether a newer report had arrived before, so that this one changed nothing.',
    }),
    now: t.field({
      type: 'DateTime',
      description: "Serin's time of the report: the clock of `asOf` and `since`.",
      resolve: async ({ now }, _args, { app }) => now ?? (await readClock(app.db)).now,
    }),
    clockRate: t.float({
      description: "Seconds of Serin's time that pass in a real second; 1 in production.",
      resolve: async (_reported, _args, { app }) => (await readClock(app.db)).rate,
    }),
    ...leaseFields(t),
    error: t.expose('refusal', { type: DomainError, nullable: true, description: 'Why it was refused.' }),
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment that was named.' }),
    side: t.expose('side', { type: SideType, description: 'The side that reported.' }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment after the report: a guardrail may have ended it.',
      resolve: ({ deploymentId }, _args, { loaders }): Promise<DeploymentView | null> =>
        loaders.deployment.clear(deploymentId).load(deploymentId),
    }),
  }),
});

interface BatchReported {
  readonly results: readonly Reported[];
  readonly refusal: Refusal | null;
}

const ReportMetricsResult = builder.objectRef<BatchReported>('ReportMetricsResult').implement({
  description: 'The answer to a batch of reports.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether every report was taken.',
      resolve: ({ results, refusal: no }) =>
        no === null && results.every((result) => result.refusal === null),
    }),
    message: t.string({
      description: 'What happened, for people.',
      resolve: ({ results, refusal: no }) => {
        const taken = results.filter((result) => result.refusal === null).length;
        return no?.message ?? `${taken} of ${results.length} reports taken`;
      },
    }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why the whole batch was refused.',
    }),
    results: t.field({
      type: [UpdateMetricsResult],
      description: 'One answer a report, in their order.',
      resolve: ({ results }) => [...results],
    }),
  }),
});

type Given<T> = { readonly [K in keyof T]?: T[K] | null | undefined };

/** The report of an input; null is the same as omitted. */
function reportOf(given: Given<MetricsReport>): MetricsReport {
  return {
    pnlUsd: given.pnlUsd ?? undefined,
    unrealizedPnlUsd: given.unrealizedPnlUsd ?? undefined,
    totalPnlUsd: given.totalPnlUsd ?? undefined,
    trades: given.trades ?? undefined,
    errors: given.errors ?? undefined,
    drawdown: given.drawdown ?? undefined,
    sharpeRatio: given.sharpeRatio ?? undefined,
    winRate: given.winRate ?? undefined,
    totalGasUsd: given.totalGasUsd ?? undefined,
    avgTradeSizeUsd: given.avgTradeSizeUsd ?? undefined,
    uptimeSeconds: given.uptimeSeconds ?? undefined,
    session: given.session ?? undefined,
    sequence: given.sequence ?? undefined,
    asOf: given.asOf ?? undefined,
    since: given.since ?? undefined,
    baseline: given.baseline ?? undefined,
  };
}

async function take(
  { reports, actor }: Context,
  side: Side,
  given: Given<MetricsReport> & { readonly deploymentId: string },
): Promise<Reported> {
  const { deploymentId } = given;
  const answer = await reports.take(actor, { deploymentId, side, report: reportOf(given) });
  return { deploymentId, side, ...answer };
}

/** The path of a refused report leads through the batch to the field. */
function inBatch(result: Reported, index: number): Reported {
  if (!result.refusal) return result;
  const { code, message, path } = result.refusal;
  return { ...result, refusal: refusal(code, message, ['reports', String(index), ...path]) };
}

builder.mutationFields((t) => ({
  updateCanaryMetrics: t.field({
    type: UpdateMetricsResult,
    description:
      "Reports the canary's metrics. Guardrails look at them before this answers. Refused where the side is measured by " +
      'its trades or by a provider: a side is measured one way.',
    args: { input: t.arg({ type: UpdateMetricsInput, required: true, description: 'The report.' }) },
    resolve: (_root, { input }, context) => take(context, 'CANARY', input),
  }),
  updateStableMetrics: t.field({
    type: UpdateMetricsResult,
    description: "Reports the stable side's metrics, on the same terms.",
    args: { input: t.arg({ type: UpdateMetricsInput, required: true, description: 'The report.' }) },
    resolve: (_root, { input }, context) => take(context, 'STABLE', input),
  }),
  reportMetrics: t.field({
    type: ReportMetricsResult,
    description: `Up to ${MAX_REPORTS} reports in one request, each answered separately.`,
    args: { input: t.arg({ type: ReportMetricsInput, required: true, description: 'The reports.' }) },
    resolve: async (_root, { input }, context): Promise<BatchReported> => {
      const { length } = input.reports;
      if (length < 1 || length > MAX_REPORTS) {
        const message = `reports must be between 1 and ${MAX_REPORTS}, got ${length}`;
        return { results: [], refusal: refusal('INVALID_INPUT', message, ['reports']) };
      }
      const results = await Promise.all(input.reports.map((report) => take(context, report.side, report)));
      return { results: results.map(inBatch), refusal: null };
    },
  }),
}));
