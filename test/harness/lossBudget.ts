/** Loss budgets over HTTP, for tests. */
import { randomUUID } from 'node:crypto';
import type { Answer, Data, TestCaller } from './serin.ts';

const BUDGET = `id name strategies windowHours maxLossUsd lossUsd action count rearm state trippedAt trippedLossUsd
  countsFrom createdBy createdAt`;

/** The whole answer of one of the three mutations: a caller without the right gets an error. */
export function tryBudget(
  caller: TestCaller,
  mutation: 'createLossBudget' | 'updateLossBudget' | 'deleteLossBudget',
  input: Record<string, unknown>,
): Promise<Answer> {
  const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  return caller.post(
    `mutation($input: ${type}!) { ${mutation}(input: $input) {
      success replayed message error { code message path } lossBudget { ${BUDGET} } } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
  );
}

async function budget(caller: TestCaller, ...call: [Parameters<typeof tryBudget>[1], object]): Promise<Data> {
  const [mutation, input] = call;
  const { data, errors } = await tryBudget(caller, mutation, { ...input });
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return data[mutation];
}

/** A budget of 1,000 USD in a day, unless the input says otherwise. */
export const createBudget = (caller: TestCaller, input: object): Promise<Data> =>
  budget(caller, 'createLossBudget', {
    name: 'desk',
    windowHours: 24,
    maxLossUsd: '1000',
    action: 'ROLLBACK_ALL',
    ...input,
  });

export const updateBudget = (caller: TestCaller, id: string, input: object): Promise<Data> =>
  budget(caller, 'updateLossBudget', { id, ...input });

export const deleteBudget = (caller: TestCaller, id: string): Promise<Data> =>
  budget(caller, 'deleteLossBudget', { id });

export async function listBudgets(caller: TestCaller): Promise<Data[]> {
  return (await caller.ask(`{ lossBudgets(first: 200) { nodes { ${BUDGET} } } }`)).lossBudgets.nodes;
}

export async function findBudget(caller: TestCaller, id: string): Promise<Data> {
  return (await listBudgets(caller)).find((each) => each.id === id);
}
