/**
 * Enforces the rules of `access/permissions.ts` on every operation. An operation without a rule stops the start, so that
 * none is open by mistake. Without the role: FORBIDDEN for visible deployments, NOT_FOUND for invisible ones.
 */
import { defaultFieldResolver, type GraphQLField, type GraphQLSchema } from 'graphql';
import { beyondRole, may, ruleOf } from '../access/permissions.ts';
import type { Context } from './builder.ts';

/** Adds the permission check to every field of the root types. */
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

/**
 * The context for the resolver. Throws FORBIDDEN if the actor sees the deployment but lacks the role. A resolver calls it
 * for an argument that needs more rights than its operation.
 */
export async function admit(operation: string, args: unknown, context: Context): Promise<Context> {
  const { actor, loaders } = context;
  if (may(actor, operation)) return context;
  const target = targetOf(args);
  if (target === null || (await loaders.deployment.load(target))) throw beyondRole(actor, operation);
  // The target is invisible to the actor: continue with an empty scope, so that the operation itself says NOT_FOUND.
  return { ...context, actor: { ...actor, strategies: [] } };
}

/** The deployment of a command: every command input names it `deploymentId`. */
function targetOf(args: unknown): string | null {
  const input = hasInput(args) ? args.input : null;
  return hasDeployment(input) && typeof input.deploymentId === 'string' ? input.deploymentId : null;
}

const hasInput = (value: unknown): value is { readonly input: unknown } =>
  typeof value === 'object' && value !== null && 'input' in value;

const hasDeployment = (value: unknown): value is { readonly deploymentId: unknown } =>
  typeof value === 'object' && value !== null && 'deploymentId' in value;
