/** One page of Markdown from the model of an API: every export with its signature, its description and its members. */

/** What API Extractor's model says of a declaration, as far as it is used here. */
export interface Item {
  readonly kind: string;
  readonly name?: string;
  readonly docComment?: string;
  readonly excerptTokens?: readonly { readonly text: string }[];
  readonly members?: readonly Item[];
}

export interface Reference {
  readonly text: string;
  /** What has no description. */
  readonly problems: readonly string[];
}

/** Kinds of exports in the order of the page, with their headings. */
const KINDS: readonly (readonly [kind: string, heading: string])[] = [
  ['Function', 'Functions'],
  ['Class', 'Classes'],
  ['Interface', 'Types'],
  ['TypeAlias', 'Types'],
];

const HEAD = `# Reference of \`serin/client\`

Made from the sources by \`npm run reference\`; \`npm run check\` fails where it is not up to date, or where something has
no description. What the client does and why: [clients.md](clients.md).
`;

/** @param sources the entry point, which says in which order things are exported */
export function renderReference(entry: Item, sources: string): Reference {
  const problems: string[] = [];
  const exported = [...(entry.members ?? [])].sort(
    (a, b) => sources.indexOf(a.name ?? '') - sources.indexOf(b.name ?? ''),
  );
  const describe = (item: Item, name: string): string => {
    const text = descriptionOf(item.docComment ?? '');
    if (text === '') problems.push(`${name} has no description: write a comment above it`);
    return text;
  };
  const parts = [HEAD];
  for (const heading of new Set(KINDS.map(([, each]) => each))) {
    const kinds = KINDS.filter(([, each]) => each === heading).map(([kind]) => kind);
    parts.push(`## ${heading}\n`);
    for (const item of exported.filter(({ kind }) => kinds.includes(kind)))
      parts.push(section(item, describe));
  }
  return { text: `${parts.join('\n').trimEnd()}\n`, problems };
}

type Describe = (item: Item, name: string) => string;

function section(item: Item, describe: Describe): string {
  const name = item.name ?? '';
  const lines = [`### ${name}\n`, `${describe(item, name)}\n`, '```ts', signatureOf(item), '```\n'];
  const members = (item.members ?? []).filter(({ kind }) => kind !== 'CallSignature');
  if (members.length > 0) {
    lines.push('| member | what it is |', '|---|---|');
    for (const member of members) {
      const title = member.kind === 'Constructor' ? 'constructor' : (member.name ?? '');
      const text = describe(member, `${name}.${title}`);
      lines.push(`| ${code(signatureOf(member))} | ${cell(text)} |`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

/** A declaration without what is the same for all of them. */
function signatureOf({ excerptTokens = [] }: Item): string {
  return excerptTokens
    .map(({ text }) => text)
    .join('')
    .replace(/^export (?:declare )?/, '')
    .replace(/\b(?:readonly|override) /g, '')
    .replace(/;$/, '')
    .trim();
}

/** The text of a comment: its sentences, then what it throws, each a paragraph. */
function descriptionOf(comment: string): string {
  return comment
    .trim()
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^[ ]*\* ?/gm, '')
    .replace(/@throws\s+\{(\w+)\}/g, '\n\nThrows `$1`')
    .replace(/@param (\w+)/g, '\n\n`$1`:')
    .replace(/^(Throws `.*?)\.? *$/gm, '$1.')
    .trim()
    .replace(/\n{3,}/g, '\n\n');
}

/** Text in a cell of a table. */
const cell = (text: string) => text.replace(/\n+/g, ' ').replaceAll('|', '\\|');

/** Code in a cell of a table, on one line. */
const code = (text: string) => `\`${text.replace(/\s+/g, ' ').replaceAll('|', '\\|')}\``;
