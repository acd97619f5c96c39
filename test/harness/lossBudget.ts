/** Loss budgets over HTTP, for tests. */
import { randomUUID } from 'node:crypto';
import type { Answer, Data, Door } from './serin.ts';

const BUDGET = `id name strategies windowHours maxLossUsd lossUsd action count rearm state trippedAt trippedLossUsd
  countsFrom createdBy createdAt`;

/** The whole answer of one of the three mutations: a caller without the right gets an error. */
export function tryBudget(
  door: Door,
  mutation: 'createLossBudget' | 'updateLossBudget' | 'deleteLossBudget',
  input: Record<string, unknown>,
): Promise<Answer> {
  const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  return door.post(
    `mutation($input: ${type}!) { ${mutation}(input: $input) {
      success replayed message error { code message path } lossBudget { ${BUDGET} } } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
  );
}

async function budget(door: Door, ...call: [Parameters<typeof tryBudget>[1], object]): Promise<Data> {
  const [mutation, input] = call;
  const { data, errors } = await tryBudget(door, mutation, { ...input });
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return data[mutation];
}

/** A budget of 1,000 USD in a day, unless the input says otherwise. */
export const createBudget = (door: Door, input: object): Promise<Data> =>
  budget(door, 'createLossBudget', {
    name: 'desk',
    windowHours: 24,
    maxLossUsd: '1000',
    action: 'ROLLBACK_ALL',
    ...input,
  });

export const updateBudget = (door: Door, id: string, input: object): Promise<Data> =>
  budget(door, 'updateLossBudget', { id, ...input });

export const deleteBudget = (door: Door, id: string): Promise<Data> =>
  budget(door, 'deleteLossBudget', { id });

export async function listBudgets(door: Door): Promise<Data[]> {
  return (await door.ask(`{ lossBudgets(first: 200) { nodes { ${BUDGET} } } }`)).lossBudgets.nodes;
}

export async function findBudget(door: Door, id: string): Promise<Data> {
  return (await listBudgets(door)).find((each) => each.id === id);
}
