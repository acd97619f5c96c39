/** Which version of the decision rule a deployment is under. It is part of its log: an old log is folded as it was. */

export const RULES = [1, 2] as const;
export type RuleVersion = (typeof RULES)[number];

/** The latest version. New deployments begin with it and live ones go over to it, once every node can read it. */
export const RULE = 2;
