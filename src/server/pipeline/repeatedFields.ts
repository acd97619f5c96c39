/**
 * How often a document repeats fields of one name. Validation compares each with every other, without a break in which the
 * node could serve other callers: a thousand repeats take some 200 ms.
 */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** Comparisons of a document; a hundred fields of one name need 4,950. */
const MAX_COMPARISONS = 5000;
/** Fields of a document when each fragment is written out where it is spread. */
const MAX_WRITTEN_OUT = 20_000;
/** Levels of fields that are followed: a document that is nested deeper is refused for its depth. */
const MAX_LEVELS = 50;

interface SameName {
  count: number;
  readonly inner: SelectionSetNode[];
}

/**
 * Whether validation would compare too much: pairs of fields that have one name in the response, and pairs of fragments in
 * one selection, through all levels.
 */
export function repeatsTooMuch(
  { definitions }: DocumentNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): boolean {
  let comparisons = 0;
  let writtenOut = 0;
  const isOver = () => comparisons > MAX_COMPARISONS || writtenOut > MAX_WRITTEN_OUT;

  function compare(sets: readonly SelectionSetNode[], level: number): void {
    const fields = new Map<string, SameName>();
    const spread = new Set<string>();
    const collect = (selection: SelectionNode): void => {
      if (selection.kind === Kind.INLINE_FRAGMENT) selection.selectionSet.selections.forEach(collect);
      if (selection.kind === Kind.FRAGMENT_SPREAD && !spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        fragments.get(selection.name.value)?.selectionSet.selections.forEach(collect);
      }
      if (selection.kind !== Kind.FIELD) return;
      writtenOut += 1;
      const name = (selection.alias ?? selection.name).value;
      const same = fields.get(name) ?? { count: 0, inner: [] };
      same.count += 1;
      if (selection.selectionSet) same.inner.push(selection.selectionSet);
      fields.set(name, same);
    };
    for (const { selections } of sets) selections.forEach(collect);
    comparisons += pairsOf(spread.size);
    for (const { count } of fields.values()) comparisons += pairsOf(count);
    for (const { inner } of fields.values()) {
      if (isOver() || level > MAX_LEVELS) return;
      if (inner.length > 0) compare(inner, level + 1);
    }
  }

  for (const definition of definitions) {
    // A fragment that no operation spreads is validated, too.
    if (definition.kind === Kind.OPERATION_DEFINITION || definition.kind === Kind.FRAGMENT_DEFINITION) {
      compare([definition.selectionSet], 1);
    }
    if (isOver()) return true;
  }
  return false;
}

const pairsOf = (count: number) => (count * (count - 1)) / 2;
