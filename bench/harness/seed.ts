/** Deployments to measure on, made through the API. */
import { ask } from './stage.ts';

/** Makes running deployments whose two sides have reported, with changes to their configuration; answers their ids. */
export async function seedRunning(
  url: string,
  count: number,
  prefix = 'bench',
  config: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  for (let from = 0; from < count; from += 50) {
    await Promise.all(ids.slice(from, from + 50).map((id) => seedOne(url, id, config)));
  }
  return ids;
}

const SEED = `mutation($create: CreateDeploymentInput!, $deploy: DeployCanaryInput!, $reports: ReportMetricsInput!) {
  createDeployment(input: $create) { success message }
  deployCanary(input: $deploy) { success message }
  reportMetrics(input: $reports) { success message }
}`;

async function seedOne(url: string, id: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  const figures = (side: string, pnlUsd: string) => ({
    deploymentId: id,
    side,
    pnlUsd,
    totalPnlUsd: '1300.5',
    trades: 42,
    errors: 1,
    drawdown: '0.0125',
    sharpeRatio: '1.4',
    winRate: '0.55',
  });
  const answers = await ask<Record<string, { success: boolean; message: string }>>(url, SEED, {
    create: {
      id,
      strategyId: `strategy-of-${id}`,
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      // Long enough that nothing happens automatically while we measure.
      config: {
        observationPeriodMinutes: 10_000,
        checkIntervalSeconds: 86_400,
        guardrails: { maxStaleSeconds: null },
        ...config,
      },
    },
    deploy: { deploymentId: id, capitalUsd: '1000000' },
    reports: { reports: [figures('CANARY', '120.25'), figures('STABLE', '1130.75')] },
  });
  for (const { success, message } of Object.values(answers)) {
    if (!success) throw new Error(`${id} was not seeded: ${message}`);
  }
}
