/** `{ __typename }` over HTTP: all the costs of a request but its work. */
import { startChild } from '../harness/child.ts';
import { alternate, judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const CONNECTIONS = 64;

export async function typename({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  const bare = await startChild('peers/bareHttp.ts', '{"data":{"__typename":"Query"}}');
  try {
    const { url } = await stage.node();
    const bodies = [[JSON.stringify({ query: '{ __typename }' })]];
    const rate = async (target: string) =>
      (await putLoad(load, { url: `${target}/graphql`, connections: CONNECTIONS, seconds, bodies }))
        .perSecond;
    await rate(url);
    const measured = await alternate(
      rounds,
      () => rate(url),
      () => rate(bare.ready),
    );
    const subject = {
      part: 'typename',
      work: '{ __typename } over HTTP',
      against: 'bare node:http, the same bytes',
      unit: 'requests/s',
      bound: { atLeast: 0.6 },
    };
    return [judge(subject, measured)];
  } finally {
    await bare.stop();
    await load.stop();
    await stage.close();
  }
}
