/** The course of a deployment as pictures. */
import { useQuery } from '@tanstack/react-query';
import { type ReactElement, useMemo } from 'react';
import { request } from '../api/client';
import { type DetailFragment, SamplesDocument } from '../api/generated/graphql';
import { TimeChart } from '../charts/TimeChart';
import { percent, percentChange } from '../format';
import { returnOf } from '../overview/risk';

const SAMPLES = 200;

export function Charts({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  const { id, nextCheckAt, status } = deployment;
  const { data } = useQuery({
    // A check has a new sample, and moves the time of the next.
    queryKey: ['samples', id, nextCheckAt, status],
    queryFn: async ({ signal }) => {
      const answer = await request(SamplesDocument, { id, last: SAMPLES }, signal);
      return answer.deployment?.samples.edges.map(({ node }) => node) ?? [];
    },
    placeholderData: (before) => before,
  });
  const samples = data ?? [];
  const times = useMemo(() => samples.map(({ at }) => Date.parse(at)), [samples]);
  const returns = useMemo(
    () =>
      [
        { label: 'Canary', colour: '--canary', values: samples.map((each) => returnOf(each.canaryMetrics)) },
        {
          label: 'Stable',
          colour: '--stable',
          values: samples.map((each) => returnOf(each.stableMetrics)),
          dashed: true,
        },
      ] as const,
    [samples],
  );
  if (samples.length === 0) return <p className="panel quiet">The first check has not been made yet.</p>;
  return (
    <section className="panel">
      <TimeChart
        title="Return on capital"
        description={`Canary ${percentChange(returns[0].values.at(-1))}, stable ${percentChange(returns[1].values.at(-1))}`}
        times={times}
        lines={returns}
        format={(value) => percent(value)}
        zero=""
      />
    </section>
  );
}
