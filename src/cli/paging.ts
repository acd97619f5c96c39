/** Lists of the API on the command line: page after page, up to a limit. */
import type { Terminal } from './terminal.ts';

export interface Paged<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** Items of a page that is asked for, at most. */
const PAGE = 100;

/**
 * The first items of a list, and whether there are more.
 * @param limit how many, at most; infinite for all
 * @param read asks for a page
 * @param matches which items count; without it all. Nobody knows how many that are, so whole pages are asked for
 */
export async function readUpTo<Node>(
  limit: number,
  read: (first: number, after: string | null) => Promise<Paged<Node>>,
  matches?: (item: Node) => boolean,
): Promise<{ readonly found: Node[]; readonly more: boolean }> {
  const found: Node[] = [];
  const first = matches ? PAGE : Math.min(PAGE, limit + 1);
  for (let after: string | null = null; ; ) {
    const { nodes, pageInfo }: Paged<Node> = await read(first, after);
    found.push(...(matches ? nodes.filter(matches) : nodes));
    if (found.length > limit) return { found: found.slice(0, limit), more: true };
    if (!pageInfo.hasNextPage) return { found, more: false };
    after = pageInfo.endCursor;
  }
}

/** Tells a person that a list goes on. */
export function noteMore(terminal: Terminal, limit: number): void {
  if (!terminal.json) terminal.note(`There are more: --limit ${limit * 2} shows them.`);
}
