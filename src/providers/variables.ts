/**
 * The variables of queries and URLs: `{{version}}` stands for the version that is asked about. A template is cut into
 * pieces once, when the configuration is read, so that a value is never searched for variables itself.
 */
import type { MetricsTarget } from './provider.ts';

const VARIABLES = ['strategy', 'version', 'chain', 'side', 'since', 'elapsed'] as const;
export type Variable = (typeof VARIABLES)[number];

/** Values of these are chosen by users; the others cannot hold anything but letters, digits and a point. */
const FREE_TEXT: ReadonlySet<Variable> = new Set<Variable>(['strategy', 'version', 'chain']);

/** A piece of a template, and where it starts. */
export type Piece =
  | { readonly at: number; readonly text: string }
  | { readonly at: number; readonly variable: Variable };

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/**
 * Cuts a template at its variables.
 * @returns the pieces in order, or a sentence that says which variable is not known
 */
export function cutTemplate(template: string): readonly Piece[] | string {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of template.matchAll(PLACEHOLDER)) {
    const name = (match[1] ?? '').trim();
    const variable = VARIABLES.find((known) => known === name);
    if (!variable) return `has the unknown variable {{${name}}}: use ${VARIABLES.join(', ')}`;
    if (match.index > end) pieces.push({ at: end, text: template.slice(end, match.index) });
    pieces.push({ at: match.index, variable });
    end = match.index + match[0].length;
  }
  if (end < template.length) pieces.push({ at: end, text: template.slice(end) });
  return pieces;
}

/** Whether a value of this variable could mean something else where it is put. */
export function isFreeText(variable: Variable): boolean {
  return FREE_TEXT.has(variable);
}

/**
 * What the variables stand for: `since` is the start in epoch seconds, `elapsed` whole seconds from it until now, at
 * least 1. Half surrogate pairs, which no encoding can carry, become U+FFFD.
 * @param now epoch milliseconds
 */
export function valuesOf(target: MetricsTarget, now: number): Readonly<Record<Variable, string>> {
  return {
    strategy: wellFormed(target.strategyId),
    version: wellFormed(target.versionId),
    chain: wellFormed(target.chain),
    side: target.side,
    since: String(target.since / 1000),
    elapsed: String(Math.max(1, Math.round((now - target.since) / 1000))),
  };
}

function wellFormed(text: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}
