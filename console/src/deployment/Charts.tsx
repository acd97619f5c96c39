/** The course of a deployment as pictures: return, evidence, drawdown and capital, each over time with its numbers. */
import { useQuery } from '@tanstack/react-query';
import { type ReactElement, useMemo } from 'react';
import { request } from '../api/client';
import {
  type CanaryEventType,
  type DetailFragment,
  SeriesDocument,
  type SeriesQuery,
} from '../api/generated/graphql';
import type { Marker } from '../charts/markers';
import { TimeChart } from '../charts/TimeChart';
import { percent, percentChange, percentDigits, usd } from '../format';

const POINTS = 400;

type Course = NonNullable<SeriesQuery['deployment']>;
type Point = Course['series']['points'][number];

/** The sign of an event above the charts, and what it stands for. */
const SIGNS: Partial<Record<CanaryEventType, readonly [sign: string, meaning: string]>> = {
  STEP_STARTED: ['S', 'step'],
  CANARY_PAUSED: ['P', 'pause'],
  CANARY_RESUMED: ['R', 'resumed'],
  ALLOCATION_ACKNOWLEDGED: ['A', 'capital acknowledged'],
  GUARDRAIL_TRIPPED: ['!', 'guardrail tripped'],
  DECISION_MADE: ['D', 'decision'],
  PROMOTION_REQUESTED: ['?', 'promotion requested'],
  OBSERVATION_EXTENDED: ['E', 'extended'],
  CANARY_OBSERVATION_COMPLETE: ['O', 'observation over'],
};

export function Charts({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  const { id, nextCheckAt, revision } = deployment;
  const { data, error } = useQuery({
    // A check has a new point, and moves the time of the next.
    queryKey: ['series', id, nextCheckAt, revision],
    queryFn: async ({ signal }) => (await request(SeriesDocument, { id, points: POINTS }, signal)).deployment,
    placeholderData: (before) => before,
  });
  if (!data && error) return <p className="panel problem">{error.message}</p>;
  if (!data) return <p className="panel quiet loading">Loading the series …</p>;
  if (data.series.points.length === 0) {
    return <p className="panel quiet loading">The first check has not been made yet.</p>;
  }
  return <Course course={data} />;
}

function Course({ course }: { readonly course: Course }): ReactElement {
  const { points, markers: events } = course.series;
  const times = useMemo(() => points.map(({ at }) => Date.parse(at)), [points]);
  const markers = useMemo(
    () =>
      events.flatMap(({ at, type, description }): Marker[] => {
        const [sign] = SIGNS[type] ?? [];
        return sign === undefined ? [] : [{ at: Date.parse(at), sign, description }];
      }),
    [events],
  );
  const last = points.at(-1);
  const line = (field: (point: Point) => number | null) => points.map(field);
  return (
    <>
      <section className="panel">
        <TimeChart
          title="Return on capital"
          description={`Canary ${percentChange(last?.canaryReturn)}, stable ${percentChange(last?.stableReturn)}`}
          times={times}
          lines={[
            {
              label: 'Canary',
              colour: '--canary-fill',
              values: line((point) => point.canaryReturn),
              width: 2.2,
            },
            {
              label: 'Stable',
              colour: '--stable',
              values: line((point) => point.stableReturn),
              dashed: true,
            },
            {
              label: 'Difference',
              colour: '--ink-quiet',
              values: line((point) => point.difference),
              width: 1,
            },
          ]}
          markers={markers}
          format={(value, step) => percentChange(value, percentDigits(step))}
          zero=""
          height={230}
        />
        <MarkerKey markers={events} />
      </section>
      <section className="panel">
        <EvidenceChart points={points} times={times} markers={markers} />
      </section>
      <div className="chart-pair">
        <section className="panel">
          <TimeChart
            title="Drawdown"
            description={`Canary ${percent(last?.canaryDrawdown)}, stable ${percent(last?.stableDrawdown)} below the highest return`}
            times={times}
            lines={[
              {
                label: 'Canary',
                colour: '--canary-fill',
                values: line(({ canaryDrawdown }) => canaryDrawdown && -canaryDrawdown),
                filled: true,
              },
              {
                label: 'Stable',
                colour: '--stable',
                values: line(({ stableDrawdown }) => stableDrawdown && -stableDrawdown),
                dashed: true,
              },
            ]}
            format={(value, step) => percent(value, percentDigits(step))}
            zero=""
            height={150}
          />
        </section>
        <section className="panel">
          <TimeChart
            title="Capital of the canary"
            description={`Requested ${usd(course.allocations.nodes.at(-1)?.canaryUsd)}, held ${usd(last?.canaryHeldUsd)}`}
            times={times}
            lines={[
              {
                label: 'Requested',
                colour: '--ink-quiet',
                values: askedUsd(course.allocations.nodes, times),
                stepped: true,
                dashed: true,
              },
              {
                label: 'Held',
                colour: '--canary-fill',
                values: line(({ canaryHeldUsd }) => Number(canaryHeldUsd)),
                stepped: true,
              },
            ]}
            format={(value) => usd(value)}
            zero=""
            height={150}
          />
        </section>
      </div>
    </>
  );
}

interface EvidenceChartProps {
  readonly points: readonly Point[];
  readonly times: readonly number[];
  readonly markers: readonly Marker[];
}

/** The confidence sequence, check by check: it narrows towards or away from the line that it must clear. */
function EvidenceChart({ points, times, markers }: EvidenceChartProps): ReactElement {
  const last = points.at(-1);
  const middle = ({ low, high }: Point) => (low === null || high === null ? null : (low + high) / 2);
  const word = { NOT_WORSE: 'not worse', WORSE: 'worse', OPEN: 'still open' }[last?.verdict ?? 'OPEN'];
  return (
    <TimeChart
      title="Evidence, check by check"
      description={`The difference a check lies between ${percentChange(last?.low, 4)} and ${percentChange(last?.high, 4)}: ${word}. The line to clear is 0`}
      times={times}
      lines={[
        { label: 'To', colour: '--ink-quiet', values: points.map(({ high }) => high), width: 1 },
        { label: 'Estimate', colour: '--canary-fill', values: points.map(middle) },
        { label: 'From', colour: '--ink-quiet', values: points.map(({ low }) => low), width: 1 },
      ]}
      band={{ edges: [0, 2], colour: '--ink-quiet' }}
      markers={markers.filter(({ sign }) => sign === 'S' || sign === 'D')}
      format={(value, step) => percentChange(value, Math.max(3, percentDigits(step)))}
      zero="▲ not worse|▼ worse"
      reach={evidenceReach(points)}
      height={210}
    />
  );
}

/** Intervals wider than this many times the narrowest leave the chart: beside them nothing else would be seen. */
const WIDEST = 4;

/** The first intervals are very wide, some for long: the scale is that of the others. */
function evidenceReach(points: readonly Point[]): readonly [number, number] | undefined {
  const intervals = points.flatMap(({ low, high }) => (low === null || high === null ? [] : [{ low, high }]));
  const widthOf = ({ low, high }: { low: number; high: number }) => high - low;
  const narrowest = Math.min(...intervals.map(widthOf));
  const ends = intervals
    .filter((interval) => widthOf(interval) <= WIDEST * narrowest)
    .flatMap(({ low, high }) => [low, high]);
  return ends.length === 0 ? undefined : [Math.min(0, ...ends), Math.max(0, ...ends)];
}

/** What the canary was asked to hold at each time, USD. */
function askedUsd(allocations: Course['allocations']['nodes'], times: readonly number[]): (number | null)[] {
  const asked = allocations.map(({ requestedAt, canaryUsd }) => ({
    since: Date.parse(requestedAt),
    usd: Number(canaryUsd),
  }));
  return times.map((time) => asked.findLast(({ since }) => since <= time)?.usd ?? null);
}

/** What the letters above the charts stand for. */
function MarkerKey({ markers }: { readonly markers: Course['series']['markers'] }): ReactElement | null {
  const types = [...new Set(markers.map(({ type }) => type))];
  const key = types.flatMap((type) => SIGNS[type]?.join(' ') ?? []);
  if (key.length === 0) return null;
  return <p className="marker-key quiet">{key.join(' · ')}</p>;
}
