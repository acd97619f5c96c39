/** Changes a document at random, to find those that cost more than their price says. */
import {
  type ASTNode,
  type DocumentNode,
  type FieldNode,
  type GraphQLCompositeType,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isRequiredArgument,
  Kind,
  parse,
  print,
  type SelectionNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { LIMITS } from '../../src/environment/limits.ts';
import { schema } from '../../src/graphql/schema.ts';
import { costOf } from '../../src/server/pipeline/cost.ts';
import type { Random } from './random.ts';

/** Documents to begin with: every query with the ids given, every page as large as it may be. */
export function seedDocuments(ids: readonly string[]): string[] {
  const [id] = ids;
  const fields = Object.values(schema.getQueryType()?.getFields() ?? {});
  const queries = fields
    // They compute for long by design, one or two of a caller at a time: docs/limits.md.
    .filter(({ name }) => !['simulatePolicy', 'replayPolicy'].includes(name))
    .filter(({ args }) =>
      args.every((arg) => !isRequiredArgument(arg) || ['id', 'ids', 'deploymentId'].includes(arg.name)),
    )
    .map(({ name, args, type }) => {
      const given = args.flatMap((arg) => {
        if (arg.name === 'first') return ['first: 200'];
        if (arg.name === 'useOwnConfig') return ['useOwnConfig: true'];
        if (!isRequiredArgument(arg)) return [];
        return [
          `${arg.name}: ${arg.name === 'ids' ? JSON.stringify(ids.slice(0, 200)) : JSON.stringify(id)}`,
        ];
      });
      const named = getNamedType(type);
      const selection = isCompositeType(named) ? selectionOf(named, 2) : '';
      return `{ ${name}${given.length > 0 ? `(${given.join(', ')})` : ''} ${selection} }`;
    });
  return [
    ...queries,
    ...PAGES.map((page) => asManyAsFit(page.replaceAll('ID', JSON.stringify(id)))),
    `{ strategies(first: 200) { nodes { ${Array.from({ length: 3 }, (_, index) => `a${index}: deployments(first: 1) { totalCount }`).join(' ')} } } }`,
    '{ __schema { types { name fields { name description args { name type { name } } type { name ofType { name } } } } } }',
    '{ __type(name: "CanaryDeployment") { fields { type { fields { type { fields { name } } } } } } }',
    `{ ${Array.from({ length: 50 }, (_, index) => `a${index}: viewer { actor }`).join(' ')} }`,
    `{ ${'viewer { actor } '.repeat(450)} }`,
    `{ viewer { ${'... on Viewer { actor } '.repeat(490)} } }`,
  ];
}

/** Pages whose items take long to read. */
const PAGES: readonly string[] = [
  'deployments(first: 200) { nodes { id } }',
  'deployments(first: 200) { nodes { id status summary headline createdAt canaryCapitalUsd totalCapitalUsd } }',
  'deployments(first: 200) { nodes { comparison { decision } canaryMetrics { metrics { sharpeRatio } } } }',
  'deployments(first: 200) { nodes { strategy { stableVersionId } archivedAt settlement { status } } }',
  'deployments(first: 200) { nodes { config { canaryPercent observationPeriodMinutes checkIntervalSeconds } } }',
  'events(first: 200) { nodes { id } }',
  'events(first: 200) { nodes { id cursor type at description deployment { headline } } }',
  'events(first: 200) { nodes { payload { __typename } } }',
  'events(first: 200) { nodes { details } }',
  'deployment(id: ID) { samples(first: 200) { nodes { at canaryMetrics { metrics { sharpeRatio } } } } }',
  'deployment(id: ID) { trades(side: CANARY, first: 200) { nodes { id at } } }',
  'deployment(id: ID) { events(first: 200) { nodes { id } } }',
  'deployment(id: ID) { series(points: 1000) { points { at low high } markers { at } } }',
  'deployment(id: ID) { comparison { gates { name reason } evidence { outlook { probabilityBetter } } } }',
  'strategies(first: 200) { nodes { id liveDeployments { id } } }',
  'strategies(first: 200) { nodes { id stableVersionId createdAt } }',
  'overview { counts { status count } waitingForPerson lossTodayUsd }',
];

/** The field under as many aliases as one document may have. */
function asManyAsFit(field: string): string {
  const one = parse(`{ ${field} }`);
  let fields = 0;
  visit(one, {
    enter({ kind }) {
      if (kind === Kind.FIELD) fields += 1;
    },
  });
  const [operation] = one.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error(`${field} is not a field`);
  const { total } = costOf(schema, one, operation, {});
  const { aliases, fields: mostFields, cost } = LIMITS;
  const count = Math.min(
    aliases.defaultValue,
    Math.floor(mostFields.defaultValue / fields),
    Math.floor(cost.defaultValue / total),
  );
  return `{ ${Array.from({ length: count }, (_, index) => `a${index}: ${field}`).join(' ')} }`;
}

function selectionOf(type: GraphQLCompositeType, depth: number): string {
  if (isAbstractType(type)) {
    const own = schema
      .getPossibleTypes(type)
      .map((one) => `... on ${one.name} ${selectionOf(one, depth - 1)}`);
    return `{ __typename ${own.join(' ')} }`;
  }
  const fields = Object.values(type.getFields()).flatMap((field) => {
    if (field.args.some(isRequiredArgument)) return [];
    const named = getNamedType(field.type);
    const page = field.args.some(({ name }) => name === 'first') ? '(first: 5)' : '';
    if (!isCompositeType(named)) return [field.name];
    return depth > 0 ? [`${field.name}${page} ${selectionOf(named, depth - 1)}`] : [];
  });
  return `{ __typename ${fields.join(' ')} }`;
}

/** Characters of a document that is not made larger: more fields than the limits allow. */
const MOST_CHARACTERS = 30_000;

/** The document with one thing changed; null where the change makes none, or one that is too large. */
export function mutate(text: string, random: Random): string | null {
  const document = parse(text);
  const change = random.pick([alias, widen, deepen, remove, fragment, variable, directive, repeat]);
  const changed = change(document, random);
  const made = changed && print(changed);
  return made && made.length <= MOST_CHARACTERS ? made : null;
}

type Change = (document: DocumentNode, random: Random) => DocumentNode | null;

/** Applies a change to one field, chosen at random. */
function atField(
  document: DocumentNode,
  random: Random,
  change: (field: FieldNode, info: TypeInfo) => SelectionNode | SelectionNode[] | null | undefined,
  eligible: (field: FieldNode, info: TypeInfo) => boolean = () => true,
): DocumentNode | null {
  const info = new TypeInfo(schema);
  const found: FieldNode[] = [];
  visit(
    document,
    visitWithTypeInfo(info, {
      enter(node) {
        if (node.kind === Kind.FIELD && eligible(node, info)) found.push(node);
      },
    }),
  );
  if (found.length === 0) return null;
  const chosen = random.pick(found);
  // A replacement may contain the field, which is visited again.
  let isDone = false;
  return visit(
    document,
    visitWithTypeInfo(info, {
      enter(node): ASTNode | null | undefined {
        if (isDone || node !== chosen || node.kind !== Kind.FIELD) return undefined;
        isDone = true;
        const replacement = change(node, info);
        if (!Array.isArray(replacement)) return replacement;
        return {
          kind: Kind.INLINE_FRAGMENT,
          selectionSet: { kind: Kind.SELECTION_SET, selections: replacement },
        };
      },
    }),
  );
}

const nameNode = (value: string) => ({ kind: Kind.NAME, value }) as const;
const fresh = (random: Random) => `x${Math.floor(random.next() * 1e9).toString(36)}`;

const alias: Change = (document, random) =>
  atField(document, random, (field) => [
    field,
    ...Array.from({ length: 1 + random.below(8) }, () => ({ ...field, alias: nameNode(fresh(random)) })),
  ]);

const repeat: Change = (document, random) =>
  atField(document, random, (field) => Array.from({ length: 2 + random.below(20) }, () => field));

/** A page gets a size, or another one. */
const widen: Change = (document, random) =>
  atField(
    document,
    random,
    (field) => ({
      ...field,
      arguments: [
        ...(field.arguments ?? []).filter(({ name }) => name.value !== 'first'),
        {
          kind: Kind.ARGUMENT,
          name: nameNode('first'),
          value: { kind: Kind.INT, value: String(random.pick([1, 5, 20, 50, 100, 200])) },
        },
      ],
    }),
    (_field, info) => info.getFieldDef()?.args.some(({ name }) => name === 'first') ?? false,
  );

/** Everything below an object is selected. */
const deepen: Change = (document, random) =>
  atField(
    document,
    random,
    (field, info) => {
      const type = getNamedType(info.getType());
      if (!isCompositeType(type)) return undefined;
      const parsed = parse(selectionOf(type, 1 + random.below(2))).definitions[0];
      return parsed?.kind === Kind.OPERATION_DEFINITION
        ? { ...field, selectionSet: parsed.selectionSet }
        : undefined;
    },
    (field) => field.selectionSet !== undefined,
  );

const remove: Change = (document, random) =>
  atField(
    document,
    random,
    ({ alias: _alias, selectionSet: _set, arguments: _args, directives: _directives, ...field }) => ({
      ...field,
      name: nameNode('__typename'),
    }),
  );

/** The selection of a field moves to a fragment, which is spread several times. */
const fragment: Change = (document, random) => {
  const name = fresh(random);
  let moved: DocumentNode['definitions'][number] | null = null;
  const changed = atField(
    document,
    random,
    (field, info) => {
      const type = getNamedType(info.getType());
      if (!field.selectionSet || !isCompositeType(type)) return undefined;
      moved = {
        kind: Kind.FRAGMENT_DEFINITION,
        name: nameNode(name),
        typeCondition: { kind: Kind.NAMED_TYPE, name: nameNode(type.name) },
        selectionSet: field.selectionSet,
      };
      const spread: SelectionNode = { kind: Kind.FRAGMENT_SPREAD, name: nameNode(name) };
      return {
        ...field,
        selectionSet: {
          kind: Kind.SELECTION_SET,
          selections: Array.from({ length: 1 + random.below(20) }, () => spread),
        },
      };
    },
    (field) => field.selectionSet !== undefined,
  );
  return changed && moved ? { ...changed, definitions: [...changed.definitions, moved] } : null;
};

/** The size of a page comes from the default value of a variable. */
const variable: Change = (document, random) => {
  const name = fresh(random);
  const changed = atField(
    document,
    random,
    (field) => ({
      ...field,
      arguments: [
        ...(field.arguments ?? []).filter((argument) => argument.name.value !== 'first'),
        {
          kind: Kind.ARGUMENT,
          name: nameNode('first'),
          value: { kind: Kind.VARIABLE, name: nameNode(name) },
        },
      ],
    }),
    (_field, info) => info.getFieldDef()?.args.some(({ name: argument }) => argument === 'first') ?? false,
  );
  return changed && declare(changed, name, 'Int', { kind: Kind.INT, value: '200' });
};

const directive: Change = (document, random) => {
  const name = fresh(random);
  const changed = atField(document, random, (field) => ({
    ...field,
    directives: [
      ...(field.directives ?? []),
      {
        kind: Kind.DIRECTIVE,
        name: nameNode('include'),
        arguments: [
          { kind: Kind.ARGUMENT, name: nameNode('if'), value: { kind: Kind.VARIABLE, name: nameNode(name) } },
        ],
      },
    ],
  }));
  return changed && declare(changed, name, 'Boolean', { kind: Kind.BOOLEAN, value: true });
};

function declare(
  document: DocumentNode,
  name: string,
  type: string,
  defaultValue: { kind: Kind.INT; value: string } | { kind: Kind.BOOLEAN; value: boolean },
): DocumentNode {
  return {
    ...document,
    definitions: document.definitions.map((node) =>
      node.kind === Kind.OPERATION_DEFINITION
        ? {
            ...node,
            variableDefinitions: [
              ...(node.variableDefinitions ?? []),
              {
                kind: Kind.VARIABLE_DEFINITION,
                variable: { kind: Kind.VARIABLE, name: nameNode(name) },
                type: { kind: Kind.NAMED_TYPE, name: nameNode(type) },
                defaultValue,
              },
            ],
          }
        : node,
    ),
  };
}
