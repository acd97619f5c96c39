/**
 * The rules of `access/policy.ts`, in front of every operation. An operation without a rule stops the start, so that
 * nothing is ever open by oversight. Who lacks the role hears FORBIDDEN about what they see; about what they do not
 * see they hear what anybody hears of what is not there.
 */
import { defaultFieldResolver, type GraphQLField, type GraphQLSchema } from 'graphql';
import { beyondRole, may, ruleOf } from '../access/permissions.ts';
import type { Context } from './builder.ts';

/** Puts the rules in front of every field of the root types. */
export function guarded(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) guard(`${type?.name}.${field.name}`, field);
  }
  return schema;
}

function guard(operation: string, field: GraphQLField<unknown, Context>): void {
  ruleOf(operation);
  const { subscribe, resolve = defaultFieldResolver } = field;
  if (subscribe) {
    field.subscribe = async (root, args, context, info) =>
      subscribe(root, args, await admit(operation, args, context), info);
    return;
  }
  field.resolve = (root, args, context, info) => {
    if (may(context.actor, operation)) return resolve(root, args, context, info);
    return admit(operation, args, context).then((admitted) => resolve(root, args, admitted, info));
  };
}

/** The context to go on with. Throws Forbidden where the actor sees what they may not touch. */
async function admit(operation: string, args: unknown, context: Context): Promise<Context> {
  const { actor, loaders } = context;
  if (may(actor, operation)) return context;
  const target = targetOf(args);
  if (target === null || (await loaders.deployment.load(target))) throw beyondRole(actor, operation);
  // Nothing is there for them. They go on as someone who sees nothing, and hear of it in the operation's own words.
  return { ...context, actor: { ...actor, strategies: [] } };
}

/** The deployment that a command is about: all of them name it in the same place. */
function targetOf(args: unknown): string | null {
  const input = hasInput(args) ? args.input : null;
  return hasDeployment(input) && typeof input.deploymentId === 'string' ? input.deploymentId : null;
}

const hasInput = (value: unknown): value is { readonly input: unknown } =>
  typeof value === 'object' && value !== null && 'input' in value;

const hasDeployment = (value: unknown): value is { readonly deploymentId: unknown } =>
  typeof value === 'object' && value !== null && 'deploymentId' in value;
