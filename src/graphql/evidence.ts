/** What the sequential test says, and what may be expected of it. */
import { describeEvidence, type Evidence, testResultOf } from '../core/rule/comparison.ts';
import type { Interval } from '../core/rule/confidenceSequence.ts';
import type { Outlook } from '../core/rule/outlook.ts';
import {
  EVIDENCE_VERDICTS,
  speakingInterval,
  type TestResult,
  type WORSE_BY,
} from '../core/rule/sequentialTest.ts';
import { builder } from './builder.ts';

export const EvidenceVerdictType = builder.enumType('EvidenceVerdict', {
  description: 'What the sequential test says of the canary.',
  values: EVIDENCE_VERDICTS,
});
const WorseByType = builder.enumType('WorseBy', {
  description: 'What says that the canary is worse.',
  values: {
    INTERVAL: { description: 'The mean over the whole observation is below what is acceptable.' },
    DRIFT: { description: 'The canary has turned worse, whatever it was before.' },
  } satisfies Record<(typeof WORSE_BY)[number], object>,
});

const IntervalType = builder.objectRef<Interval>('Interval').implement({
  description: 'An interval for the mean difference of returns per check; valid however often it is read.',
  fields: (t) => ({
    mean: t.exposeFloat('mean', { description: 'The estimate: mean difference of return per check.' }),
    low: t.exposeFloat('low', { description: 'Lower end.' }),
    high: t.exposeFloat('high', { description: 'Upper end.' }),
  }),
});

const DriftType = builder.objectRef<TestResult['drift']>('Drift').implement({
  description: 'The drift detector. It alarms when `value` reaches `threshold`; both are natural logarithms.',
  fields: (t) => ({
    value: t.exposeFloat('value', { description: 'Its level now.' }),
    threshold: t.exposeFloat('threshold', { description: 'Where it alarms.' }),
  }),
});

const OutlookType = builder.objectRef<Outlook>('EvidenceOutlook').implement({
  description:
    'What may be expected of the observation from here on, if the future is as volatile and as correlated as the ' +
    'past. Estimates; nothing is decided on them. Null where too little is known.',
  fields: (t) => ({
    checksToDecide: t.exposeInt('checksToDecide', {
      nullable: true,
      description:
        'More checks until the test decides, if the difference stays what it is; 0 once it has, null if never.',
    }),
    decidesBeforeDeadline: t.exposeBoolean('decidesBeforeDeadline', {
      nullable: true,
      description: 'Whether that is before the deadline.',
    }),
    leastDetectablePerDay: t.exposeFloat('leastDetectablePerDay', {
      nullable: true,
      description:
        'The least difference of returns a day that can be told from none by the deadline: 0.01 is 1 %.',
    }),
    leastDetectableSharpe: t.exposeFloat('leastDetectableSharpe', {
      nullable: true,
      description: 'The same as a difference of Sharpe ratios a year.',
    }),
    probabilityBetter: t.exposeFloat('probabilityBetter', {
      nullable: true,
      description: 'The probability that the canary earns more than the stable version, 0 to 1.',
    }),
    usdAtRisk: t.expose('usdAtRisk', {
      type: 'Decimal',
      nullable: true,
      description: 'What the canary loses at most until the deadline in 19 of 20 cases, USD.',
    }),
    advice: t.stringList({
      description: 'What would make the test say more.',
      resolve: ({ advice }) => [...advice],
    }),
  }),
});

/** Evidence with what may be expected of it. */
export interface EvidenceView {
  readonly evidence: Evidence;
  readonly outlook: () => Outlook | null;
}

export const EvidenceType = builder.objectRef<EvidenceView>('Evidence').implement({
  description:
    'The sequential test on paired samples: is the canary worse, beyond chance? Fields that are null for a decision ' +
    'of the first version of the rule say so.',
  fields: (t) => {
    /** A field that only the present version of the rule knows. */
    const found =
      <T>(of: (result: TestResult) => T) =>
      ({ evidence }: EvidenceView): T | null => {
        const result = testResultOf(evidence);
        return result && of(result);
      };
    return {
      verdict: t.field({
        type: EvidenceVerdictType,
        description: 'What the test says.',
        resolve: ({ evidence }) => evidence.verdict,
      }),
      by: t.field({
        type: WorseByType,
        nullable: true,
        description:
          'What says that the canary is worse; null unless it is, and under the first version of the rule.',
        resolve: found(({ by }) => by),
      }),
      estimate: t.float({
        nullable: true,
        description: 'Mean difference of return per check, above what is acceptable; null before two pairs.',
        resolve: ({ evidence }) => speakingInterval(evidence)?.mean ?? null,
      }),
      interval: t.field({
        type: IntervalType,
        nullable: true,
        description: 'The interval of the series that speaks: the more favourable of the two.',
        resolve: ({ evidence }) => speakingInterval(evidence),
      }),
      whenEarning: t.field({
        type: IntervalType,
        nullable: true,
        description: 'The series that is right when the stable side earns.',
        resolve: ({ evidence }) => evidence.y1,
      }),
      whenLosing: t.field({
        type: IntervalType,
        nullable: true,
        description: 'The series that is right when the stable side loses.',
        resolve: ({ evidence }) => evidence.y2,
      }),
      difference: t.field({
        type: IntervalType,
        nullable: true,
        description:
          'The plain difference canary - stable per check; null before two pairs, and under the first version of the rule.',
        resolve: found(({ difference }) => difference),
      }),
      pairs: t.int({
        description: 'Informative pairs of samples so far.',
        resolve: ({ evidence }) => evidence.pairs,
      }),
      effectivePairs: t.float({
        nullable: true,
        description:
          'How many independent pairs would say as much; `minSamples` of these are needed. Null under the first version of the rule.',
        resolve: found(({ effectivePairs }) => effectivePairs),
      }),
      serialCorrelation: t.float({
        nullable: true,
        description:
          'Long-run variance over variance: 1 where checks are independent, more where neighbours move together.',
        resolve: found(({ serialCorrelation }) => serialCorrelation),
      }),
      skewness: t.float({
        nullable: true,
        description:
          'Skewness of the difference. From +1 on, rare large gains of the canary may not have come yet.',
        resolve: found(({ skewness }) => skewness),
      }),
      drift: t.field({
        type: DriftType,
        nullable: true,
        description: 'The drift detector; null under the first version of the rule.',
        resolve: found(({ drift }) => drift),
      }),
      margin: t.float({
        nullable: true,
        description: 'What the canary may be worse by and still be good enough, as a return per check.',
        resolve: found(({ margin }) => margin),
      }),
      minSamples: t.int({
        description: 'Effective pairs before the intervals decide.',
        resolve: ({ evidence }) => evidence.minSamples,
      }),
      plannedChecks: t.int({
        description: 'Checks planned for the whole ramp.',
        resolve: ({ evidence }) => evidence.plannedChecks,
      }),
      alpha: t.float({
        description: 'The error rate of the test.',
        resolve: ({ evidence }) => evidence.alpha,
      }),
      outlook: t.field({
        type: OutlookType,
        nullable: true,
        description: 'What may be expected from here on; null in records of the past.',
        resolve: ({ outlook }) => outlook(),
      }),
      summary: t.string({
        description: 'The test, as a message.',
        resolve: ({ evidence }) => describeEvidence(evidence),
      }),
    };
  },
});
