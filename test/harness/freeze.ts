/** Freezes over HTTP, for tests. */
import type { Answer, Data, TestCaller } from './serin.ts';

export const FREEZE = `id strategies chains blocks from until reason createdBy createdAt liftedBy liftedAt
  activeNow activeUntil nextFrom recurrence { rule timeZone durationMinutes }`;
const RESULT = `success replayed message error { code message path } freeze { ${FREEZE} }`;

const CREATE = `mutation($input: CreateFreezeInput!) { createFreeze(input: $input) { ${RESULT} } }`;

/** The whole answer: a caller without the right gets an error. */
export function tryFreeze(caller: TestCaller, input: Record<string, unknown>): Promise<Answer> {
  return caller.post(CREATE, { input: { reason: 'rates decision', ...input } });
}

export async function createFreeze(caller: TestCaller, input: Record<string, unknown> = {}): Promise<Data> {
  const { data, errors } = await tryFreeze(caller, input);
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return data.createFreeze;
}

export function tryLift(caller: TestCaller, id: string, more: Record<string, unknown> = {}): Promise<Answer> {
  return caller.post(`mutation($input: LiftFreezeInput!) { liftFreeze(input: $input) { ${RESULT} } }`, {
    input: { id, ...more },
  });
}

export async function liftFreeze(caller: TestCaller, id: string): Promise<Data> {
  const { data, errors } = await tryLift(caller, id);
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return data.liftFreeze;
}

export async function listFreezes(caller: TestCaller, args = 'standing: true, first: 200'): Promise<Data[]> {
  return (await caller.ask(`{ freezes(${args}) { nodes { ${FREEZE} } } }`)).freezes.nodes;
}

/** Lifts everything that a test of all operations has frozen: more than a page of freezes in the whole form. */
export async function liftAll(caller: TestCaller): Promise<void> {
  const lifted = new Set<string>();
  for (;;) {
    const left = (await listFreezes(caller)).filter(({ id }) => !lifted.has(id));
    if (left.length === 0) return;
    for (const { id } of left) {
      await liftFreeze(caller, id);
      lifted.add(id);
    }
  }
}
