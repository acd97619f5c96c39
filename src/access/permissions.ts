/**
 * Permissions: the least role for every operation of the API. An operation without an entry stops the start. What an
 * actor sees is decided by the scope of its strategies, see `canSee`.
 */
import { cut } from '../core/values/refusal.ts';
import { type Actor, ROLES, type Role } from './actor.ts';

export interface Rule {
  readonly least: Role;
  /** It only reduces a canary's capital or time: bots may do it too if the operator allows that. */
  readonly reducesRisk?: true;
  /**
   * Effect of the scope of strategies: `TARGET` has one deployment or strategy, which is invisible outside the scope;
   * `LIST` is filtered; `NONE` does not depend on strategies.
   */
  readonly scope: 'TARGET' | 'LIST' | 'NONE';
}

const read = (scope: Rule['scope']): Rule => ({ least: 'VIEWER', scope });
const report: Rule = { least: 'BOT', scope: 'TARGET' };
const operate: Rule = { least: 'OPERATOR', scope: 'TARGET' };
const retreat: Rule = { ...operate, reducesRisk: true };
const administer = (scope: Rule['scope']): Rule => ({ least: 'ADMIN', scope });

export const PERMISSIONS: Readonly<Record<string, Rule>> = {
  'Query.deployment': read('TARGET'),
  'Query.deployments': read('LIST'),
  'Query.events': read('LIST'),
  'Query.freezes': read('LIST'),
  'Query.lossBudgets': read('LIST'),
  'Query.exportDeployment': read('TARGET'),
  'Query.node': read('TARGET'),
  'Query.nodes': read('LIST'),
  'Query.overview': read('LIST'),
  'Query.replayPolicy': read('TARGET'),
  'Query.simulatePolicy': read('NONE'),
  'Query.strategies': read('LIST'),
  'Query.strategy': read('TARGET'),
  'Query.viewer': read('NONE'),
  'Query.apiKeys': administer('LIST'),
  'Query.auditRecords': administer('LIST'),
  'Query.webhookDeliveries': administer('LIST'),
  'Query.webhooks': administer('LIST'),

  'Mutation.acknowledgeAllocation': report,
  'Mutation.heartbeat': report,
  'Mutation.recordTrades': report,
  'Mutation.reportMetrics': { ...report, scope: 'LIST' },
  'Mutation.updateCanaryMetrics': report,
  'Mutation.updateStableMetrics': report,

  'Mutation.advanceStep': operate,
  'Mutation.cancelDeployment': retreat,
  'Mutation.createDeployment': operate,
  /** Its patterns must lie within the actor's own. */
  'Mutation.createFreeze': { ...operate, scope: 'LIST' },
  'Mutation.deployCanary': operate,
  'Mutation.extendObservation': operate,
  /** Its patterns must lie within the actor's own; a freeze along with it needs the right to create one. */
  'Mutation.haltCanaries': { ...retreat, scope: 'LIST' },
  /** That of another person: ADMIN. */
  'Mutation.liftFreeze': { ...operate, scope: 'LIST' },
  'Mutation.pauseDeployment': retreat,
  'Mutation.promoteCanary': operate,
  'Mutation.resumeDeployment': operate,
  'Mutation.rollbackCanary': retreat,
  'Mutation.updateConfig': operate,

  /** A document contains a history with the names of other actors. */
  'Mutation.importDeployment': administer('TARGET'),
  'Mutation.createApiKey': administer('NONE'),
  'Mutation.revokeApiKey': administer('NONE'),
  'Mutation.setStrategyApproval': administer('TARGET'),

  /** Of loss budgets: their patterns must lie within the actor's own. */
  'Mutation.createLossBudget': administer('LIST'),
  'Mutation.deleteLossBudget': administer('LIST'),
  'Mutation.updateLossBudget': administer('LIST'),

  'Mutation.createWebhook': administer('TARGET'),
  'Mutation.deleteWebhook': administer('TARGET'),
  'Mutation.redeliver': administer('TARGET'),
  'Mutation.updateWebhook': administer('TARGET'),

  'Subscription.deploymentUpdated': read('TARGET'),
  'Subscription.deploymentsUpdated': read('LIST'),
  'Subscription.overviewUpdated': read('LIST'),
  'Subscription.decisionMade': read('LIST'),
  'Subscription.eventAppended': read('LIST'),
  'Subscription.metricsUpdated': read('TARGET'),
  'Subscription.policySimulation': read('NONE'),
  'Subscription.stateChanged': read('LIST'),
};

/** Arguments that need more rights than their operation. */
export const ARGUMENT_PERMISSIONS: Readonly<Record<string, Rule>> = {
  /** Somebody else says what a bot holds, which may free its strategy for another canary. */
  'Mutation.acknowledgeAllocation.onBehalf': administer('TARGET'),
};

/** The rule of an operation such as `Mutation.promoteCanary`, or of one of its arguments. */
export function ruleOf(operation: string): Rule {
  const rule = PERMISSIONS[operation] ?? ARGUMENT_PERMISSIONS[operation];
  if (!rule) throw new Error(`${operation} has no rule: add it to src/access/permissions.ts`);
  return rule;
}

/** Whether an actor's role permits an operation. */
export function may(actor: Actor, operation: string): boolean {
  const { least, reducesRisk } = ruleOf(operation);
  if (reducesRisk && actor.reducesRisk && atLeast(actor.role, 'BOT')) return true;
  return atLeast(actor.role, least);
}

function atLeast(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** Whether an actor may do what only administrators may. */
export const mayAdminister = (actor: Actor): boolean => atLeast(actor.role, 'ADMIN');

/** The actor sees the object but lacks the right. */
export class Forbidden extends Error {}

/** The error for a role that does not permit an operation. */
export function beyondRole(actor: Actor, operation: string): Forbidden {
  const name = operation.split('.').at(-1);
  return new Forbidden(
    `${name} requires the role ${ruleOf(operation).least}, and ${actor.name} has ${actor.role}: ` +
      'ask an administrator for a key with that role',
  );
}

/** The error for a strategy outside the actor's scope. It does not reveal whether the strategy exists. */
export function beyondScope(actor: Actor, strategyId: string): Forbidden {
  const own = actor.strategies?.join(', ') || 'none';
  return new Forbidden(
    cut(`${actor.name} may use only the strategies ${own}, not ${strategyId.slice(0, 200)}`),
  );
}
