/** `serin export` and `serin import`: a deployment as one document, for another server or an archive. */
import { writeFile } from 'node:fs/promises';
import type { Context } from './context.ts';
import { notFound, usage } from './exitCodes.ts';
import { change, readJson } from './lifecycle.ts';

export async function exportDeployment(
  id: string,
  output: string | undefined,
  context: Context,
): Promise<void> {
  const { serin, terminal } = context;
  const query = 'query ($id: ID!) { exportDeployment(id: $id) }';
  const { exportDeployment: document } = await serin.query<{ exportDeployment: unknown }>(query, { id });
  if (document === null) throw notFound(`There is no deployment ${id} (or this key may not see it)`);
  if (output === undefined) terminal.value(document);
  else {
    await writeFile(output, `${JSON.stringify(document, null, 2)}\n`).catch((error: Error) => {
      throw usage(`${output} cannot be written: ${error.message}`);
    });
    terminal.note(`${id} is in ${output}`);
  }
}

export interface ImportOptions {
  readonly moveStableVersion?: boolean;
  readonly idempotencyKey?: string;
}

export async function importDeployment(
  path: string,
  { moveStableVersion, idempotencyKey }: ImportOptions,
  context: Context,
): Promise<void> {
  const document = await readJson(path);
  await change('importDeployment', { document, moveStableVersion, idempotencyKey }, context);
}
