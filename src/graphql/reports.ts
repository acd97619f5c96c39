import type { MetricsReport } from '../core/metrics/sideMetrics.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import type { Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder, type Context } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { SideType } from './metrics.ts';
import { DomainError } from './results.ts';

const MAX_REPORTS = 500;

const figures = {
  pnlUsd: 'Net profit and loss since the deployment started, USD.',
  totalPnlUsd: 'Profit and loss before costs, USD.',
  trades: 'Trades made since the deployment started.',
  errors: 'Errors met since the deployment started.',
  drawdown: 'Largest fall from a high, as a fraction of capital: 0.05 is five percent.',
  sharpeRatio: 'Sharpe ratio, both sides computed the same way.',
  winRate: 'Winning trades over all trades, 0 to 1.',
  totalGasUsd: 'Gas paid, USD.',
  avgTradeSizeUsd: 'Average size of a trade, USD.',
  uptimeSeconds: 'Seconds the side was up.',
};

const UpdateMetricsInput = builder.inputType('UpdateMetricsInput', {
  description: 'Running totals of one side. What is left out (or null) stays as it was.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    pnlUsd: t.field({ type: 'Decimal', description: figures.pnlUsd }),
    totalPnlUsd: t.field({ type: 'Decimal', description: figures.totalPnlUsd }),
    trades: t.int({ description: figures.trades }),
    errors: t.int({ description: figures.errors }),
    drawdown: t.field({ type: 'Decimal', description: figures.drawdown }),
    sharpeRatio: t.field({ type: 'Decimal', description: figures.sharpeRatio }),
    winRate: t.field({ type: 'Decimal', description: figures.winRate }),
    totalGasUsd: t.field({ type: 'Decimal', description: figures.totalGasUsd }),
    avgTradeSizeUsd: t.field({ type: 'Decimal', description: figures.avgTradeSizeUsd }),
    uptimeSeconds: t.int({ description: figures.uptimeSeconds }),
  }),
});

const MetricsReportInput = builder.inputType('MetricsReportInput', {
  description: 'A report of one side. What is left out (or null) stays as it was.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    side: t.field({ type: SideType, required: true, description: 'Which side reports.' }),
    pnlUsd: t.field({ type: 'Decimal', description: figures.pnlUsd }),
    totalPnlUsd: t.field({ type: 'Decimal', description: figures.totalPnlUsd }),
    trades: t.int({ description: figures.trades }),
    errors: t.int({ description: figures.errors }),
    drawdown: t.field({ type: 'Decimal', description: figures.drawdown }),
    sharpeRatio: t.field({ type: 'Decimal', description: figures.sharpeRatio }),
    winRate: t.field({ type: 'Decimal', description: figures.winRate }),
    totalGasUsd: t.field({ type: 'Decimal', description: figures.totalGasUsd }),
    avgTradeSizeUsd: t.field({ type: 'Decimal', description: figures.avgTradeSizeUsd }),
    uptimeSeconds: t.int({ description: figures.uptimeSeconds }),
  }),
});

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

interface Reported {
  readonly deploymentId: string;
  readonly side: Side;
  readonly refusal: Refusal | null;
}

const UpdateMetricsResult = builder.objectRef<Reported>('UpdateMetricsResult').implement({
  description: 'The answer to one report.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether it was taken. What was taken is on disk.',
      resolve: ({ refusal: no }) => no === null,
    }),
    message: t.string({
      description: 'What happened, for people.',
      resolve: ({ refusal: no, side }) => no?.message ?? `Metrics of the ${side.toLowerCase()} side updated`,
    }),
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

/** The figures of an input; null is the same as left out. */
function reportOf(given: Given<MetricsReport>): MetricsReport {
  return {
    pnlUsd: given.pnlUsd ?? undefined,
    totalPnlUsd: given.totalPnlUsd ?? undefined,
    trades: given.trades ?? undefined,
    errors: given.errors ?? undefined,
    drawdown: given.drawdown ?? undefined,
    sharpeRatio: given.sharpeRatio ?? undefined,
    winRate: given.winRate ?? undefined,
    totalGasUsd: given.totalGasUsd ?? undefined,
    avgTradeSizeUsd: given.avgTradeSizeUsd ?? undefined,
    uptimeSeconds: given.uptimeSeconds ?? undefined,
  };
}

async function take(
  { reports, actor }: Context,
  side: Side,
  given: Given<MetricsReport> & { readonly deploymentId: string },
): Promise<Reported> {
  const { deploymentId } = given;
  const answer = await reports.take(actor, { deploymentId, side, report: reportOf(given) });
  return { deploymentId, side, refusal: answer };
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
    description: `Up to ${MAX_REPORTS} reports at once, each answered on its own.`,
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
