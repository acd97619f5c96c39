/** Configurations of metrics providers in files, for servers of tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

export const removeProviders = () =>
  Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));

/** A configuration of two providers on a port of this machine: `good` responds with metrics, `bad` with 404. */
export async function providersAt(port: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'serin-dashboard-'));
  folders.push(folder);
  const of = (name: string) => ({ type: 'http', url: `http://127.0.0.1:${port}/${name}`, retries: 0 });
  const file = join(folder, 'providers.json');
  await writeFile(file, JSON.stringify({ providers: { good: of('good'), bad: of('bad') } }));
  return file;
}
