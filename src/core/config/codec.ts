/** The configuration as JSON, in the database and in exported documents. */
import { z } from 'zod';
import { countCodec, decimalCodec } from '../values/codecs.ts';
import { POSITION_PLANS } from './capital.ts';
import {
  type CanaryConfig,
  COMPARISONS,
  EVIDENCE_MODES,
  GUARDRAILS,
  INCONCLUSIVE_ACTIONS,
  PAIRINGS,
  PNL_BASES,
  STEP_GATES,
} from './config.ts';
import { WEEKDAYS } from './tradingHours.ts';

export const rollbackPlanCodec = z.strictObject({
  positions: z.enum(POSITION_PLANS),
  maxSlippageBps: decimalCodec.nullable(),
  deadlineSeconds: countCodec.nullable(),
});

/** As it is stored: added settings are left out where they are at their default. */
const storedConfig = z.strictObject({
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
    maxErrorRateRatio: decimalCodec.optional(),
    requirePositivePnl: z.boolean(),
    pnlBasis: z.enum(PNL_BASES),
    drawdownFloor: decimalCodec,
  }),
  checkIntervalSeconds: countCodec,
  emitEvents: z.boolean(),
  comparison: z.enum(COMPARISONS).optional(),
  evidence: z.strictObject({
    mode: z.enum(EVIDENCE_MODES),
    alpha: z.number(),
    minSamples: countCodec,
    margin: z.number().optional(),
    pairing: z.enum(PAIRINGS).optional(),
  }),
  guardrails: z.strictObject({
    maxLossUsd: decimalCodec.nullable(),
    maxLossPercent: decimalCodec.nullable(),
    maxDrawdown: decimalCodec.nullable(),
    maxErrorRate: decimalCodec.nullable(),
    maxStaleSeconds: countCodec.nullable(),
    breaches: z.record(z.enum(GUARDRAILS), countCodec),
  }),
  steps: z
    .array(
      z.strictObject({
        canaryPercent: decimalCodec,
        minutes: countCodec,
        gate: z.enum(STEP_GATES),
        minMinutes: countCodec.optional(),
      }),
    )
    .readonly(),
  onInconclusive: z.enum(INCONCLUSIVE_ACTIONS),
  maxExtensions: countCodec,
  earlyPromote: z.boolean(),
  requireApproval: z.boolean(),
  requireUnrealized: z.boolean().optional(),
  metricsProvider: z.string().nullable(),
  settlement: z
    .strictObject({ tolerancePercent: decimalCodec, deadlineSeconds: countCodec, required: z.boolean() })
    .optional(),
  rollbackPlan: rollbackPlanCodec.optional(),
  tradingHours: z
    .strictObject({
      timeZone: z.string(),
      sessions: z
        .array(
          z.strictObject({
            days: z.array(z.enum(WEEKDAYS)).readonly(),
            dates: z.array(z.string()).readonly(),
            open: z.string(),
            close: z.string(),
          }),
        )
        .readonly(),
      closed: z.array(z.string()).readonly(),
    })
    .optional(),
  capitalLeaseSeconds: countCodec.optional(),
});

export const configCodec = z.codec(
  storedConfig,
  z.custom<CanaryConfig>((value) => typeof value === 'object' && value !== null),
  {
    decode: (stored) => ({
      ...stored,
      comparison: stored.comparison ?? 'RAW',
      promotionCriteria: {
        ...stored.promotionCriteria,
        maxErrorRateRatio: stored.promotionCriteria.maxErrorRateRatio ?? null,
      },
      evidence: {
        ...stored.evidence,
        margin: stored.evidence.margin ?? 0,
        pairing: stored.evidence.pairing ?? 'CHECK',
      },
      requireUnrealized: stored.requireUnrealized ?? false,
      steps: stored.steps.map((step) => ({ ...step, minMinutes: step.minMinutes ?? 0 })),
      settlement: stored.settlement ?? null,
      rollbackPlan: stored.rollbackPlan ?? null,
      tradingHours: stored.tradingHours ?? null,
      capitalLeaseSeconds: stored.capitalLeaseSeconds ?? null,
    }),
    encode: (config) => {
      const { comparison, promotionCriteria, evidence, steps, requireUnrealized, ...rest } = config;
      const { settlement, rollbackPlan, tradingHours, capitalLeaseSeconds, ...same } = rest;
      const { maxErrorRateRatio, ...criteria } = promotionCriteria;
      const { margin, pairing, ...test } = evidence;
      return {
        ...same,
        ...(comparison === 'RAW' ? {} : { comparison }),
        promotionCriteria: { ...criteria, ...(maxErrorRateRatio ? { maxErrorRateRatio } : {}) },
        evidence: {
          ...test,
          ...(margin === 0 ? {} : { margin }),
          ...(pairing === 'CHECK' ? {} : { pairing }),
        },
        steps: steps.map(({ minMinutes, ...step }) => ({
          ...step,
          ...(minMinutes === 0 ? {} : { minMinutes }),
        })),
        ...(requireUnrealized ? { requireUnrealized } : {}),
        ...(settlement ? { settlement } : {}),
        ...(rollbackPlan ? { rollbackPlan } : {}),
        ...(tradingHours ? { tradingHours } : {}),
        ...(capitalLeaseSeconds === null ? {} : { capitalLeaseSeconds }),
      };
    },
  },
);
