/** The configuration as JSON, in the database and in exported documents. */
import { z } from 'zod';
import { countCodec, decimalCodec } from '../values/codecs.ts';
import {
  type CanaryConfig,
  EVIDENCE_MODES,
  GUARDRAILS,
  INCONCLUSIVE_ACTIONS,
  PNL_BASES,
  STEP_GATES,
} from './config.ts';

export const configCodec = z.strictObject({
  canaryPercent: decimalCodec,
  observationPeriodMinutes: countCodec,
  autoPromote: z.boolean(),
  autoRollback: z.boolean(),
  promotionCriteria: z.strictObject({
    minPnlRatio: decimalCodec,
    maxDrawdownRatio: decimalCodec,
    minSharpeRatio: decimalCodec,
    minWinRateRatio: decimalCodec,
    minTrades: countCodec,
    maxErrorRate: decimalCodec,
    requirePositivePnl: z.boolean(),
    pnlBasis: z.enum(PNL_BASES),
    drawdownFloor: decimalCodec,
  }),
  checkIntervalSeconds: countCodec,
  emitEvents: z.boolean(),
  evidence: z.strictObject({ mode: z.enum(EVIDENCE_MODES), alpha: z.number(), minSamples: countCodec }),
  guardrails: z.strictObject({
    maxLossUsd: decimalCodec.nullable(),
    maxLossPercent: decimalCodec.nullable(),
    maxDrawdown: decimalCodec.nullable(),
    maxErrorRate: decimalCodec.nullable(),
    maxStaleSeconds: countCodec.nullable(),
    breaches: z.record(z.enum(GUARDRAILS), countCodec),
  }),
  steps: z
    .array(z.strictObject({ canaryPercent: decimalCodec, minutes: countCodec, gate: z.enum(STEP_GATES) }))
    .readonly(),
  onInconclusive: z.enum(INCONCLUSIVE_ACTIONS),
  maxExtensions: countCodec,
  earlyPromote: z.boolean(),
  requireApproval: z.boolean(),
  metricsProvider: z.string().nullable(),
}) satisfies z.ZodType<CanaryConfig>;
