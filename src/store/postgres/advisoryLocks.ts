/**
 * The numbers of all advisory locks, so that no two uses share one by mistake. They are arbitrary, but the same in every
 * version: nodes of two versions may run together.
 */

/** Held while migrations are applied. */
export const MIGRATION_LOCK = 5_371_001;
/** Serialises the creation of webhooks, so that the limit of their number holds. */
export const WEBHOOK_CREATION_LOCK = 5_371_002;
/** Held by what archives, and by what must not lose events meanwhile. */
export const RETENTION_LOCK = 5_371_003;
/** First key of the locks of deployments; the second one is a hash of the id. */
export const EVENTS_LOCK = 5_371_004;
/** Held by a node that has seen a new start of the database server. */
export const INCARNATION_LOCK = 5_371_005;
/**
 * Shared by every transaction that raises risk, exclusive for one that creates a freeze: when `createFreeze` is answered,
 * nothing that it blocks can commit any more.
 */
export const FREEZE_LOCK = 5_371_006;
/** Held by the node that seals the audit trail; the second key is the schema, because the trail is of one Serin. */
export const AUDIT_SEAL_LOCK = 5_371_007;
/** Serialises the creation of loss budgets, so that the limit of their number holds. */
export const BUDGET_CREATION_LOCK = 5_371_008;
/** Held by the node that makes or drops a partition; the second key is the schema, because tables are of one Serin. */
export const PARTITION_LOCK = 5_371_009;
/** Held by the node that reads what it will archive: one at a time does. */
export const ARCHIVER_LOCK = 5_371_010;
