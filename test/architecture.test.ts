/** Holds the imports of `src` against the table in docs/architecture.md: which folder may import which. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../src/', import.meta.url);

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'));

const imports: readonly Import[] = files.flatMap((file) =>
  [...readFileSync(new URL(file, root), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    ([, path = '']) => ({ file, target: posix.normalize(posix.join(posix.dirname(file), path)) }),
  ),
);

/** The rows of the table: the folders (or top-level files) of a row, and the folders that it may import. */
const table = readTable(readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8'));

function readTable(document: string): ReadonlyMap<string, readonly string[]> {
  const rows = document.split('\n').filter((line) => /^\| `/.test(line));
  return new Map(
    rows.flatMap((row) => {
      const [, names = '', , mayImport = ''] = row.split('|');
      const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
      return quoted(names).map((name): [string, readonly string[]] => [name, quoted(mayImport)]);
    }),
  );
}

/** The row that a file belongs to: the deepest folder that the table names, or the file itself. */
function rowOf(file: string): string | undefined {
  for (let folder = file; folder !== '.'; folder = posix.dirname(folder))
    if (table.has(folder)) return folder;
  return undefined;
}

test('every file of src belongs to a row of the table, and every row has files', () => {
  expect(files.filter((file) => rowOf(file) === undefined)).toEqual([]);
  const used = new Set(files.map(rowOf));
  expect([...table.keys()].filter((row) => !used.has(row))).toEqual([]);
});

test('a folder imports what its row allows, and nothing else', () => {
  const wrong = imports.filter(({ file, target }) => {
    const [from, to] = [rowOf(file), rowOf(target)];
    if (from === undefined || to === undefined || from === to) return false;
    const allowed = table.get(from) ?? [];
    return !allowed.some((name) => to === name || to.startsWith(`${name}/`));
  });
  expect(wrong).toEqual([]);
});

test('a row allows nothing that no import needs', () => {
  const needed = new Set(imports.map(({ file, target }) => `${rowOf(file)} ${rowOf(target)}`));
  const idle = [...table].flatMap(([row, allowed]) =>
    allowed
      .filter((name) => ![...table.keys()].some((to) => covers(name, to) && needed.has(`${row} ${to}`)))
      .map((name) => `${row} -> ${name}`),
  );
  expect(idle).toEqual([]);
});

const covers = (name: string, folder: string) => folder === name || folder.startsWith(`${name}/`);

test('no file and no folder imports itself by way of others', () => {
  const edges = (key: (path: string) => string | undefined) => {
    const graph = new Map<string, Set<string>>();
    for (const { file, target } of imports) {
      const [from, to] = [key(file), key(target)];
      if (from === undefined || to === undefined || from === to) continue;
      graph.set(from, (graph.get(from) ?? new Set()).add(to));
    }
    return graph;
  };
  expect(cycles(edges((path) => path))).toEqual([]);
  expect(cycles(edges(rowOf))).toEqual([]);
});

/** The members of a graph that lead back to themselves. */
function cycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reach = (from: string, seen = new Set<string>()): Set<string> => {
    for (const next of graph.get(from) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      reach(next, seen);
    }
    return seen;
  };
  return [...graph.keys()].filter((node) => reach(node).has(node));
}
