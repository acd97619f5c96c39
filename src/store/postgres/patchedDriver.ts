/**
 * Refuses to run with an unpatched PostgreSQL driver. `patches/` fixes what the driver does when a connection is lost
 * inside a transaction, and has COMMIT follow statements that are still in flight. `npm ci --ignore-scripts` installs the
 * driver without the patch, and no other error shows it.
 */
import postgres from 'postgres';

/** Source text that only the patched driver contains, in its code for transactions. */
const PATCHED = /\blast ?= ?null\b/;

/** @throws {Error} if the loaded driver is not patched; the message says what to do */
export function requirePatchedDriver(): void {
  if (isPatched(postgres)) return;
  throw new Error(
    'the PostgreSQL driver in node_modules is not patched (npm does not patch it when scripts are off): ' +
      'run "npx patch-package" in the folder of Serin and start again',
  );
}

/** Whether the driver has the patch. Checked in the source of the function itself, which is the code that runs. */
function isPatched(driver: unknown): boolean {
  return PATCHED.test(String(driver));
}
