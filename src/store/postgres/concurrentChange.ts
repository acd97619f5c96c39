/** The one error for a transaction that must run again because of another transaction. */

/**
 * Data that a transaction depends on has changed since the transaction read it. Whoever runs the transaction rolls it
 * back and runs it again on the new data.
 */
export class ConcurrentChange extends Error {}
