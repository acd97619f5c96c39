/**
 * Forms of stored data, for nodes of two versions on one database. A version that stores what earlier ones cannot read
 * has a higher form, and writes in it only once every node on the database can read it (docs/upgrade.md).
 */
import { RULES, type RuleVersion } from '../rule/ruleVersion.ts';

/** The latest form that this version reads and writes. */
export const FORM = 1;

/** The first form in which a deployment may be under a version of the decision rule. */
const RULE_FORMS: Readonly<Record<RuleVersion, number>> = { 1: 1, 2: 1 };

/** The latest version of the decision rule that may be written in a form. */
export function ruleOf(form: number): RuleVersion {
  return RULES.findLast((rule) => RULE_FORMS[rule] <= form) ?? 1;
}
