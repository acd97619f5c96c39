/**
 * A later version of Serin, for tests of two versions on one database: this build with one more form of stored data, in
 * which it has version 3 of the decision rule, one more event type, one more setting and one more field of a state.
 */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Change {
  readonly file: string;
  readonly line: string;
  readonly becomes: string;
}

/** Text of the sources, changed. The form that may be written is kept where the pure functions find it. */
const CHANGES: readonly Change[] = [
  {
    file: 'core/lifecycle/forms.ts',
    line: 'export const FORM = 1;',
    becomes: 'export const FORM = 2;',
  },
  { file: 'core/lifecycle/forms.ts', line: '{ 1: 1, 2: 1 }', becomes: '{ 1: 1, 2: 1, 3: 2 }' },
  { file: 'core/rule/ruleVersion.ts', line: 'RULES = [1, 2]', becomes: 'RULES = [1, 2, 3]' },
  { file: 'core/rule/ruleVersion.ts', line: 'RULE = 2;', becomes: 'RULE = 3;' },
  {
    file: 'app/execution/transaction.ts',
    line: 'form: app.form()',
    becomes: 'form: Object.assign(globalThis, { form: app.form() }).form',
  },
  {
    file: 'core/lifecycle/events.ts',
    line: 'CANARY_PAUSED: { reason },',
    becomes: 'CANARY_PAUSED: { reason }, OPERATOR_NOTED: { note: z.string() },',
  },
  {
    file: 'core/lifecycle/events.ts',
    line: "member('CANARY_PAUSED'),",
    becomes: "member('CANARY_PAUSED'), member('OPERATOR_NOTED'),",
  },
  {
    file: 'core/lifecycle/evolve.ts',
    line: "case 'COUNTER_RESET':",
    becomes: "case 'OPERATOR_NOTED': case 'COUNTER_RESET':",
  },
  {
    file: 'core/lifecycle/describe.ts',
    line: "case 'CANARY_PAUSED':",
    becomes: "case 'OPERATOR_NOTED': return event.note; case 'CANARY_PAUSED':",
  },
  {
    file: 'core/lifecycle/decide.ts',
    line: "accept([{ type: 'CANARY_PAUSED', reason }])",
    becomes:
      "accept([{ type: 'CANARY_PAUSED', reason }, ...(Reflect.get(globalThis, 'form') >= 2 ? [{ type: 'OPERATOR_NOTED', note: 'lunch' }] : [])])",
  },
  {
    file: 'core/lifecycle/decide.ts',
    line: '...deployment, ...(rule === 1',
    becomes:
      "...deployment, config: { ...deployment.config, ...(Reflect.get(globalThis, 'form') >= 2 ? { desk: 'rates' } : {}) }, ...(rule === 1",
  },
  {
    file: 'core/config/codec.ts',
    line: 'emitEvents: z.boolean(),',
    becomes: 'emitEvents: z.boolean(), desk: z.string().optional(),',
  },
];

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'node_modules/.cache/serin-later');

/** Makes it. Returns the program, and the flags for Node to run it with. */
export async function makeLaterVersion(): Promise<{ program: string; flags: string[] }> {
  await rm(FOLDER, { recursive: true, force: true });
  for (const name of ['src', 'drizzle']) await cp(join(ROOT, name), join(FOLDER, name), { recursive: true });
  await writeFile(join(FOLDER, 'package.json'), JSON.stringify({ type: 'module', version: 'later' }));
  for (const { file, line, becomes } of CHANGES) {
    const path = join(FOLDER, 'src', file);
    const text = await readFile(path, 'utf8');
    if (text.split(line).length !== 2) throw new Error(`${file} has not once: ${line}`);
    await writeFile(
      path,
      text.replace(line, () => becomes),
    );
  }
  return { program: join(FOLDER, 'src/main.ts'), flags: ['--import', 'tsx'] };
}
