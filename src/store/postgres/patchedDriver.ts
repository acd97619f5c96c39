/**
 * Refuses to run on an unpatched PostgreSQL driver. `patches/` mends how the driver behaves when a connection is lost
 * inside a transaction; `npm ci --ignore-scripts` installs it without the patch, and nothing else would show it.
 */
import postgres from 'postgres';

/** A name that only the patched driver has, in its code for transactions. */
const PATCHED = 'lost = null';

/** @throws {Error} with what to do, when the driver that was loaded is not the patched one */
export function requirePatchedDriver(): void {
  if (isPatched(postgres)) return;
  throw new Error(
    'the PostgreSQL driver in node_modules is not patched (an install without scripts leaves it so): ' +
      'run "npx patch-package" in the folder of Serin and start again',
  );
}

/** Whether this is the driver with the patch; its own text is what runs. */
export function isPatched(driver: unknown): boolean {
  return String(driver).includes(PATCHED);
}
