/** Which Serin this is, as other nodes see it. */
import { readFileSync } from 'node:fs';

/** A copy of the build alone, as the fault suite makes them, has a manifest without a version. */
const manifest: { readonly version?: string } = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
);

export const VERSION = manifest.version ?? 'unknown';
