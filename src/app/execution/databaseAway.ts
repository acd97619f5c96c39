/** Recognises the errors of a database that cannot be reached or does not answer in time. */

const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'WAITED_TOO_LONG',
  // The server takes no writes; another connection may lead to one that does.
  'WRONG_SERVER',
  '25006',
  // Committed, and not known to have reached the standby.
  'NOT_REPLICATED',
  // The statement timeout and the timeout of an idle transaction.
  '57014',
  '25P03',
]);

/** Whether an error means that the database is away. SQLSTATE classes 08, 53 and 57P (shutdown) do too. */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? String(cause.code) : '';
    if (AWAY.has(code) || /^(08|53|57P)/.test(code)) return true;
  }
  return false;
}
