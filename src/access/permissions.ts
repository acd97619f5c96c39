/**
 * Who may do what: every operation of the API with the least role that may use it. An operation without an entry
 * cannot be asked for at all. What an actor sees is not decided here but by the scope of its strategies, see `sees`.
 */
import { type Actor, ROLES, type Role } from './actor.ts';

export interface Rule {
  readonly least: Role;
  /** It only takes capital or time away from a canary: a bot may do it too where the operator allows that. */
  readonly reducesRisk?: true;
  /**
   * How the scope of strategies shows: `TARGET` has one deployment or strategy, which is not there when it lies
   * outside; `LIST` is narrowed; `NONE` has nothing that belongs to a strategy.
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
  'Mutation.recordTrades': report,
  'Mutation.reportMetrics': { ...report, scope: 'LIST' },
  'Mutation.updateCanaryMetrics': report,
  'Mutation.updateStableMetrics': report,

  'Mutation.advanceStep': operate,
  'Mutation.cancelDeployment': retreat,
  'Mutation.createDeployment': operate,
  'Mutation.deployCanary': operate,
  'Mutation.extendObservation': operate,
  'Mutation.pauseDeployment': retreat,
  'Mutation.promoteCanary': operate,
  'Mutation.resumeDeployment': operate,
  'Mutation.rollbackCanary': retreat,

  /** A document brings its own past, with the names of others in it. */
  'Mutation.importDeployment': administer('TARGET'),
  'Mutation.createApiKey': administer('NONE'),
  'Mutation.revokeApiKey': administer('NONE'),

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

/** The rule of an operation such as `Mutation.promoteCanary`. */
export function ruleOf(operation: string): Rule {
  const rule = PERMISSIONS[operation];
  if (!rule) throw new Error(`${operation} has no rule: say in src/access/policy.ts who may use it`);
  return rule;
}

/** Whether an actor's role reaches for an operation. */
export function may(actor: Actor, operation: string): boolean {
  const { least, reducesRisk } = ruleOf(operation);
  if (reducesRisk && actor.reducesRisk && atLeast(actor.role, 'BOT')) return true;
  return atLeast(actor.role, least);
}

export function atLeast(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** The actor sees it but may not do it. */
export class Forbidden extends Error {}

/** What to tell someone whose role does not reach for an operation. */
export function beyondRole(actor: Actor, operation: string): Forbidden {
  const name = operation.split('.').at(-1);
  return new Forbidden(
    `${name} needs the role ${ruleOf(operation).least}, and ${actor.name} is ${actor.role}: ` +
      'ask an administrator for a key of that role',
  );
}

/** What to tell someone who names a strategy outside of theirs. Says nothing about whether there is one. */
export function beyondScope(actor: Actor, strategyId: string): Forbidden {
  const own = actor.strategies?.join(', ') || 'none';
  return new Forbidden(`${actor.name} may work with the strategies ${own} only, not with ${strategyId}`);
}
