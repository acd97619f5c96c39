/** Tables that nodes write to by themselves every second or so: a test of what an operation writes leaves them out. */
export const BACKGROUND_TABLES = [
  'nodes',
  'audit_blocks',
  'incarnations',
  'loss_budget_rounds',
  'loss_budget_baselines',
];
