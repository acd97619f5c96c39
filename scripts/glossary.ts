/**
 * Checks that no identifier of `src` is a word of scripts/glossary.json: each has a standard term, which the glossary
 * names. Run by `npm run check`. Former names that `serin/core` still exports are allowed in src/core/deprecated.ts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const ALLOWED_IN = 'src/core/deprecated.ts';

const glossary = z
  .record(z.string(), z.strictObject({ use: z.string(), in: z.array(z.string()).optional() }))
  .parse(JSON.parse(readFileSync('scripts/glossary.json', 'utf8')));

/**
 * A program without its comments and the text of its strings: line breaks and the code in `${}` stay. A quote in a
 * regular expression would be taken for a string's, so a line's strings end with the line.
 */
function codeOf(program: string): string {
  let code = '';
  /** What encloses the position: a template's text, or code with a number of open braces. */
  const enclosing: ('TEXT' | { braces: number })[] = [{ braces: 0 }];
  for (let at = 0; at < program.length; at += 1) {
    const inside = enclosing.at(-1);
    const rest = program.slice(at, at + 2);
    const char = program.charAt(at);
    if (inside === 'TEXT') {
      if (char === '\\') at += 1;
      else if (char === '`') enclosing.pop();
      else if (rest === '${') {
        enclosing.push({ braces: 0 });
        at += 1;
      }
      code += char === '\n' ? char : ' ';
      continue;
    }
    const [skipped] = SKIPPED.exec(program.slice(at, at + 10_000)) ?? [];
    if (skipped) {
      code += skipped.replace(/[^\n]/g, ' ');
      at += skipped.length - 1;
      continue;
    }
    if (char === '`') enclosing.push('TEXT');
    if (inside && char === '{') inside.braces += 1;
    if (inside && char === '}') {
      if (inside.braces === 0) enclosing.pop();
      else inside.braces -= 1;
    }
    code += char === '`' ? ' ' : char;
  }
  return code;
}

const SKIPPED = /^(?:\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")/;

function* identifiers(program: string): Generator<{ readonly name: string; readonly line: number }> {
  for (const [index, line] of codeOf(program).split('\n').entries()) {
    for (const [name] of line.matchAll(/[A-Za-z_$][\w$]*/g)) yield { name, line: index + 1 };
  }
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join('src', path).replaceAll('\\', '/'));

const found = files
  .filter((file) => file !== ALLOWED_IN)
  .flatMap((file) =>
    [...identifiers(readFileSync(file, 'utf8'))].flatMap(({ name, line }) => {
      const term = Object.hasOwn(glossary, name) ? glossary[name] : undefined;
      const applies = term && (term.in ?? ['src']).some((folder) => file.startsWith(folder));
      return applies ? [`${file}:${line} ${name}: use ${term.use}`] : [];
    }),
  );

if (found.length > 0) {
  console.error(
    `${found.join('\n')}\n${found.length} identifiers are in scripts/glossary.json: use the term it names`,
  );
  process.exit(1);
}
