/** Concurrent work on the database. */

/** Waits for all parts, so that none is still in flight when a transaction or a start ends; throws if one failed. */
export async function allDone<T extends readonly unknown[] | []>(
  parts: T,
): Promise<{ -readonly [Part in keyof T]: Awaited<T[Part]> }> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}
