/**
 * Which server an operation reads from. Lists and exports go to the replica while it lags little, and the courses of
 * deployments, too; whoever has written is answered from there only once it has what they wrote. Everything else, and
 * every answer with an error, is the primary's.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionSetNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Actor } from '../../access/actor.ts';
import type { App } from '../../app/context.ts';
import type { Loaders, Reads } from '../../graphql/builder.ts';
import { createLoaders, readsFrom } from '../../graphql/loaders.ts';
import {
  formatWalPosition,
  parseWalPosition,
  type Replica,
  type WalPosition,
} from '../../store/postgres/replica.ts';
import type { Operation, OperationContext } from './operation.ts';

/** The header in which a mutation says how far its reader must be, and a query says how far it wants to be. */
const POSITION_HEADER = 'serin-position';

/** Queries that read lists or whole histories. No command is decided by them, and none shows what may be done next. */
const FROM_REPLICA = new Set([
  'deployments',
  'strategies',
  'events',
  'exportDeployment',
  'overview',
  'auditRecords',
]);

/** Callers whose last write is remembered. */
const MAX_WRITERS = 10_000;
/** After a write whose outcome is unknown its caller reads from the primary: longer than it can still be committed. */
const UNKNOWN_MS = 30_000;
/** How long the answer of a mutation waits to learn its position. */
const POSITION_WITHIN_MS = 1000;

/** A caller who has written. */
interface Writer {
  /** Mutations that are not answered yet. */
  writing: number;
  /** Until when a write whose outcome is unknown may still be committed, by `performance.now()`. */
  unknownUntil: number;
  /** How far the replica must be, and for which of the written mutations that was asked. */
  position: WalPosition;
  positionOf: number;
  /** Mutations that were written. */
  written: number;
}

const NO_WRITER: Readonly<Writer> = {
  writing: 0,
  unknownUntil: Number.NEGATIVE_INFINITY,
  position: 0n,
  positionOf: 0,
  written: 0,
};

type Execute = (contextValue: OperationContext) => Promise<ExecutionResult> | ExecutionResult;

export type Served = 'replica' | 'primary';

export interface ReadRouting {
  /** Where operations read that are not routed. */
  readonly primary: Reads;
  /** The loaders of an actor on the primary. */
  readonly loadersFor: (actor: Actor) => Loaders;
  /** Executes a query or mutation where it belongs. */
  run(operation: Operation, execute: Execute): Promise<ExecutionResult> | ExecutionResult;
}

export interface ReadRoutingParts {
  readonly app: App;
  readonly replica: Replica | null;
  readonly log: Logger;
  /** Called for each query that the replica may answer. */
  readonly onRead: (served: Served) => void;
}

export function createReadRouting({ app, replica, log, onRead }: ReadRoutingParts): ReadRouting {
  const primary = readsFrom(app.db);
  const loadersFor = createLoaders(primary);
  if (!replica) return { primary, loadersFor, run: (operation, execute) => execute(operation.contextValue) };
  const { db, now } = replica;
  const onReplica = { ...readsFrom(db), now };
  const replicaLoadersFor = createLoaders(onReplica, app.db);
  const writers = new LRUCache<string, Writer>({ max: MAX_WRITERS });

  /** Whether the replica may answer, for one caller. */
  async function answers({ actor, req }: OperationContext): Promise<boolean> {
    if (!req || replica?.problem() !== null) return false;
    const { writing, unknownUntil, position } = writers.get(actor.subject) ?? NO_WRITER;
    if (writing > 0 || performance.now() < unknownUntil) return false;
    const wanted = latest(position, positionIn(req.headers[POSITION_HEADER]) ?? 0n);
    return wanted === 0n || replica.reaches(wanted);
  }

  /** Executes with reads on the replica; null if there were such, and one failed: the primary has to answer. */
  async function attempt(execute: Execute, context: OperationContext, hasReads = () => true) {
    let stop = () => {};
    const away = new Promise<null>((resolve) => {
      stop = replica?.onAway(() => hasReads() && resolve(null)) ?? stop;
    });
    const result = await Promise.race([Promise.resolve(execute(context)), away]).finally(() => stop());
    if (!result?.errors || !hasReads()) return result;
    log.debug({ errors: result.errors }, 'a read on the replica failed: the primary answers it');
    return null;
  }

  async function query(
    { document, operationName, contextValue }: Operation,
    execute: Execute,
  ): Promise<ExecutionResult> {
    const refused = badPosition(contextValue);
    if (refused) return { errors: [refused] };
    if (isWhole(document, operationName)) {
      if (await answers(contextValue)) {
        const loaders = replicaLoadersFor(contextValue.actor);
        const result = await attempt(execute, { ...contextValue, reads: onReplica, loaders });
        if (result) {
          onRead('replica');
          return result;
        }
      }
      onRead('primary');
      return execute(contextValue);
    }
    let courses: Promise<boolean> | null = null;
    let isMixed = false;
    const course = async () => {
      courses ??= answers(contextValue);
      isMixed = await courses;
      return isMixed ? db : app.db;
    };
    const mixed = { ...contextValue, reads: { ...primary, course } };
    const result = await attempt(execute, mixed, () => isMixed);
    if (courses !== null) onRead(result && isMixed ? 'replica' : 'primary');
    return result ?? execute(contextValue);
  }

  /** Remembers how far the writer's reads must be, and says it in the answer. */
  async function mutation({ contextValue }: Operation, execute: Execute): Promise<ExecutionResult> {
    const { actor, res } = contextValue;
    const writer = writers.get(actor.subject) ?? { ...NO_WRITER };
    writers.set(actor.subject, writer);
    writer.writing += 1;
    let position: WalPosition | null = null;
    try {
      const result = await execute(contextValue);
      if (result.errors) return result;
      writer.written += 1;
      const nth = writer.written;
      position = await positionNow();
      // Of mutations at the same time the last one counts: it was written after the others.
      if (position === null || nth < writer.positionOf) return result;
      Object.assign(writer, { position, positionOf: nth });
      return result;
    } finally {
      writer.writing -= 1;
      if (position === null) writer.unknownUntil = performance.now() + UNKNOWN_MS;
      else if (res && !res.headersSent) res.setHeader(POSITION_HEADER, formatWalPosition(position));
    }
  }

  async function positionNow(): Promise<WalPosition | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), POSITION_WITHIN_MS);
    });
    return Promise.race([replica?.committedPosition().catch(() => null) ?? null, late]).finally(() =>
      clearTimeout(timer),
    );
  }

  return {
    primary,
    loadersFor,
    run(operation, execute) {
      const { operation: type } = getOperationAST(operation.document, operation.operationName) ?? {};
      return type === OperationTypeNode.MUTATION ? mutation(operation, execute) : query(operation, execute);
    },
  };
}

const latest = (one: WalPosition, other: WalPosition) => (one > other ? one : other);

const positionIn = (header: string | string[] | undefined) =>
  typeof header === 'string' ? parseWalPosition(header) : null;

function badPosition({ req }: OperationContext): GraphQLError | null {
  const header = req?.headers[POSITION_HEADER];
  if (header === undefined || positionIn(header) !== null) return null;
  const message =
    'The header Serin-Position must be the one of an answer to a mutation, such as 16/B374D848: send it unchanged, or leave it out';
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } });
}

const known = new WeakMap<OperationDefinitionNode, boolean>();

/** Whether all that an operation asks for may come from the replica. */
function isWhole(document: DocumentNode, operationName: string | null | undefined): boolean {
  const operation = getOperationAST(document, operationName);
  if (!operation) return false;
  const found = known.get(operation) ?? isFromReplica(operation.selectionSet, document, new Set());
  known.set(operation, found);
  return found;
}

/** @param seen names of fragments that were looked at: each is walked once, however often it is spread */
function isFromReplica({ selections }: SelectionSetNode, document: DocumentNode, seen: Set<string>): boolean {
  return selections.every((selection) => {
    if (selection.kind === Kind.FIELD) {
      return FROM_REPLICA.has(selection.name.value) || selection.name.value === '__typename';
    }
    if (selection.kind === Kind.INLINE_FRAGMENT) return isFromReplica(selection.selectionSet, document, seen);
    if (seen.has(selection.name.value)) return true;
    seen.add(selection.name.value);
    const fragment = document.definitions.find(
      (definition) =>
        definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value,
    );
    return (
      fragment?.kind === Kind.FRAGMENT_DEFINITION && isFromReplica(fragment.selectionSet, document, seen)
    );
  });
}
