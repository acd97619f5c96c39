/** Which version of the decision rule a deployment is under. It is part of its log: an old log is folded as it was. */

export const RULES = [1, 2] as const;
export type RuleVersion = (typeof RULES)[number];

/** The version that new deployments begin with, and that live ones go over to. */
export const RULE = 2;
