/** The reference of the client is whole: what has no description is named, and every export has its section. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderReference } from '../../scripts/reference.ts';

test('an export or a member without a description is named', () => {
  const field = {
    kind: 'PropertySignature',
    name: 'left',
    excerptTokens: [{ text: 'readonly left: number;' }],
  };
  const docComment = '/**\n * What is left.\n *\n * @throws\n *\n * {TypeError} always\n */\n';
  const { text, problems } = renderReference(
    {
      kind: 'EntryPoint',
      members: [
        {
          kind: 'Interface',
          name: 'Bare',
          docComment,
          members: [field, { ...field, name: 'right', docComment }],
        },
        {
          kind: 'Function',
          name: 'count',
          excerptTokens: [{ text: 'export declare function count(): number;' }],
        },
      ],
    },
    'count Bare',
  );
  expect(problems).toEqual([
    'count has no description: write a comment above it',
    'Bare.left has no description: write a comment above it',
  ]);
  expect(text).toContain('What is left.\n\nThrows `TypeError` always.');
  expect(text).toContain('```ts\nfunction count(): number\n```');
});

test('every export of the entry point has its section', () => {
  const page = readFileSync('docs/client-reference.md', 'utf8');
  const names = [
    ...readFileSync('src/client/index.ts', 'utf8')
      .replace(/\/\*\*[\s\S]*?\*\//g, '')
      .matchAll(/\{([^}]*)\}/g),
  ]
    .flatMap(([, list = '']) => list.split(','))
    .map((name) => name.replace('type', '').trim())
    .filter((name) => name !== '');
  const missing = [...names].filter((name) => !page.includes(`\n### ${name}\n`));
  expect(missing).toEqual([]);
});
