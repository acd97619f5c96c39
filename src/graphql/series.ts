/** The course of a deployment, thinned to what a picture can show. */
import type { DrawnSeries, SeriesMarker, SeriesPoint } from '../core/lifecycle/series.ts';
import { seriesReader } from '../store/log/series.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { EventTypeEnum } from './event.ts';
import { EvidenceVerdictType } from './evidence.ts';
import { paceOf } from './fairTurns.ts';
import { DecisionType } from './metrics.ts';
import { badInput, MAX_POINTS } from './paging.ts';

const DEFAULT_POINTS = 300;
/** Markers of one picture; the newest. */
const MAX_MARKERS = 500;

type NumberOfPoint =
  | 'canaryReturn'
  | 'stableReturn'
  | 'difference'
  | 'canaryDrawdown'
  | 'stableDrawdown'
  | 'low'
  | 'high'
  | 'earningLow'
  | 'earningHigh'
  | 'losingLow'
  | 'losingHigh'
  | 'drift';

const SeriesPointType = builder.objectRef<SeriesPoint>('SeriesPoint').implement({
  description: 'What a check saw, as numbers to draw. Returns, drawdowns and intervals are fractions.',
  fields: (t) => {
    const number = (name: NumberOfPoint, description: string) =>
      t.exposeFloat(name, { nullable: true, description });
    return {
      at: t.expose('at', { type: 'DateTime', description: 'When the check was made.' }),
      check: t.exposeInt('check', { description: 'The number of the check.' }),
      decision: t.expose('decision', {
        type: DecisionType,
        description: 'What the comparison said then.',
      }),
      canaryReturn: number(
        'canaryReturn',
        'The canary’s return since the start, each interval on its own capital; null before it has reported.',
      ),
      stableReturn: number('stableReturn', 'The same of the stable side.'),
      difference: number('difference', 'Canary less stable return.'),
      canaryDrawdown: number(
        'canaryDrawdown',
        'How far the canary’s return lay below its highest so far, at least 0.',
      ),
      stableDrawdown: number('stableDrawdown', 'The same of the stable side.'),
      low: number('low', 'Lower end of the interval that speaks, a check; null before there is one.'),
      high: number('high', 'Upper end of the interval that speaks.'),
      earningLow: number('earningLow', 'Lower end of the series that is right when the stable side earns.'),
      earningHigh: number('earningHigh', 'Its upper end.'),
      losingLow: number('losingLow', 'Lower end of the series that is right when the stable side loses.'),
      losingHigh: number('losingHigh', 'Its upper end.'),
      verdict: t.expose('verdict', {
        type: EvidenceVerdictType,
        nullable: true,
        description: 'What the sequential test said then.',
      }),
      drift: number(
        'drift',
        'The level of the drift detector, a natural logarithm; it alarms at `Evidence.drift.threshold`. Null for a check ' +
          'under the first version of the rule.',
      ),
      canaryHeldUsd: t.expose('canaryHeldUsd', {
        type: 'Decimal',
        description: 'What the canary side worked with, USD.',
      }),
      stableHeldUsd: t.expose('stableHeldUsd', {
        type: 'Decimal',
        description: 'What the stable side worked with, USD.',
      }),
    };
  },
});

const SeriesMarkerType = builder.objectRef<SeriesMarker>('SeriesMarker').implement({
  description:
    'Something that happened, to be marked on the picture: a step, a pause, an answer, a decision.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
    type: t.expose('type', { type: EventTypeEnum, description: 'What kind of event.' }),
    description: t.exposeString('description', { description: 'What happened, as a message.' }),
  }),
});

const SeriesType = builder.objectRef<DrawnSeries>('Series').implement({
  description: 'The course of a deployment: points a picture can show, and what happened.',
  fields: (t) => ({
    points: t.field({
      type: [SeriesPointType],
      description: 'In order of time; spikes of both sides stay where points were left out.',
      resolve: ({ points }) => [...points],
    }),
    markers: t.field({
      type: [SeriesMarkerType],
      description: `In order of time, at most the newest ${MAX_MARKERS}.`,
      resolve: ({ markers }) => [...markers],
    }),
  }),
});

builder.objectField(DeploymentRef, 'series', (t) =>
  t.field({
    type: SeriesType,
    description: 'Its course as numbers to draw, from its first check to its last.',
    args: {
      points: t.arg.int({
        defaultValue: DEFAULT_POINTS,
        required: true,
        description: `Maximum number of points (2 to ${MAX_POINTS}).`,
      }),
      from: t.arg({ type: 'DateTime', description: 'Only from this time on.' }),
      to: t.arg({ type: 'DateTime', description: 'Only until this time.' }),
    },
    resolve: async ({ state }, { points, from, to }, { app, reads, actor }) => {
      if (points < 2 || points > MAX_POINTS) {
        throw badInput(`points must be between 2 and ${MAX_POINTS}, got ${points}`, ['points']);
      }
      const series = await seriesReader(await reads.course()).read(state.id);
      // Series are read together; drawn together, those of one document would keep the event loop from others.
      await paceOf({ app, actor })();
      const { points: drawn, markers } = series.draw(points, from ?? undefined, to ?? undefined);
      return { points: drawn, markers: markers.slice(-MAX_MARKERS) };
    },
  }),
);
