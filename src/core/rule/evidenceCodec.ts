/**
 * The state of the evidence in JSON: at most 3 KB, whatever the length of the observation. Lagged sums and latest
 * values, which are not for reading, are packed as little-endian doubles in base64; every other figure stands as a number.
 */
import { z } from 'zod';
import { bySide, countCodec, decimalCodec, instantCodec } from '../values/codecs.ts';
import { emptySeries, MAX_LAGS, type SeriesSums } from './longRunVariance.ts';
import type { EvidenceState, TestedSeries } from './pairedEvidence.ts';

const series = z.strictObject({ mean: z.number(), m2: z.number(), drift: z.array(z.number()) });

const stored = z.strictObject({
  planned: countCodec,
  pairs: countCodec,
  whenEarning: series,
  whenLosing: series,
  /** Per series the lagged sums and the latest values, as many of each as there are pairs, at most 30. */
  lagged: z.string(),
  returns: z.strictObject({
    canaryMean: z.number(),
    stableMean: z.number(),
    canaryM2: z.number(),
    stableM2: z.number(),
    coM: z.number(),
  }),
  difference: z.strictObject({ mean: z.number(), m2: z.number(), m3: z.number() }),
  stableStill: countCodec,
  canaryStill: countCodec.optional(),
  pairsBeforeStep: countCodec,
  sampledAt: instantCodec.nullable(),
  apart: z.boolean(),
  alone: bySide(decimalCodec),
});

const DOUBLE = 8;

/** Reads and writes doubles several times as fast as a Buffer's own functions. */
const viewOf = ({ buffer, byteOffset, length }: Buffer) => new DataView(buffer, byteOffset, length);

export const evidenceStateCodec = z.codec(
  stored,
  z.custom<EvidenceState>((value) => typeof value === 'object' && value !== null && 'whenEarning' in value),
  {
    decode: ({ pairs, whenEarning, whenLosing, lagged, canaryStill = 0, ...same }, context) => {
      const kept = Math.min(pairs, MAX_LAGS);
      const bytes = Buffer.from(lagged, 'base64');
      const doubles = viewOf(bytes);
      if (bytes.length !== 4 * kept * DOUBLE) {
        context.issues.push({ code: 'custom', input: lagged, message: 'has not the lags of its pairs' });
        return z.NEVER;
      }
      const tested = ({ mean, m2, drift }: z.output<typeof series>, from: number): TestedSeries => {
        const sums: SeriesSums = { ...emptySeries(), n: pairs, mean, m2 };
        for (let index = 0; index < kept; index += 1) {
          sums.products[index] = doubles.getFloat64((from + index) * DOUBLE, true);
          sums.recent[index] = doubles.getFloat64((from + kept + index) * DOUBLE, true);
        }
        return { sums, drift: [...drift] };
      };
      return {
        ...same,
        canaryStill,
        whenEarning: tested(whenEarning, 0),
        whenLosing: tested(whenLosing, 2 * kept),
      };
    },
    encode: (state) => {
      const { whenEarning, whenLosing, ...same } = state;
      const pairs = whenEarning.sums.n;
      const kept = Math.min(pairs, MAX_LAGS);
      const bytes = Buffer.alloc(4 * kept * DOUBLE);
      const doubles = viewOf(bytes);
      const tested = ({ sums, drift }: TestedSeries, from: number): z.output<typeof series> => {
        for (let index = 0; index < kept; index += 1) {
          doubles.setFloat64((from + index) * DOUBLE, sums.products[index] ?? 0, true);
          doubles.setFloat64((from + kept + index) * DOUBLE, sums.recent[index] ?? 0, true);
        }
        return { mean: sums.mean, m2: sums.m2, drift: [...drift] };
      };
      const both = { whenEarning: tested(whenEarning, 0), whenLosing: tested(whenLosing, 2 * kept) };
      return { ...same, ...both, pairs, lagged: bytes.toString('base64') };
    },
  },
);

const sums = z.strictObject({ n: countCodec, mean: z.number(), m2: z.number() });

/** The state of the first version of the rule. */
export const firstEvidenceCodec = z.strictObject({ y1: sums, y2: sums });
