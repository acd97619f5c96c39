/** Which subscriptions may share an execution with equal ones: log feeds that begin now, and lists of deployments. */
import { type DocumentNode, getOperationAST, Kind } from 'graphql';

const LOG_FEEDS: ReadonlySet<string> = new Set(['stateChanged', 'decisionMade', 'eventAppended']);
const LIST = 'deploymentsUpdated';

/** How an operation may be shared; null: it runs on its own. A feed with `after` replays its own past. */
export function shareableAs(
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Readonly<Record<string, unknown>> | null | undefined,
): 'LOG' | 'LIST' | null {
  const operation = getOperationAST(document, operationName);
  const [field, ...more] = operation?.selectionSet.selections ?? [];
  if (operation?.operation !== 'subscription' || more.length > 0 || field?.kind !== Kind.FIELD) return null;
  if ((field.directives?.length ?? 0) > 0) return null;
  if (field.name.value === LIST) return 'LIST';
  if (!LOG_FEEDS.has(field.name.value)) return null;
  const after = field.arguments?.find(({ name }) => name.value === 'after')?.value;
  if (after?.kind === Kind.VARIABLE) {
    const { value } = after.name;
    const standard = operation.variableDefinitions?.find(({ variable }) => variable.name.value === value);
    return (variables?.[value] ?? null) === null && standard?.defaultValue === undefined ? 'LOG' : null;
  }
  return after === undefined || after.kind === Kind.NULL ? 'LOG' : null;
}
