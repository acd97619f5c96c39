/**
 * The variables of queries and URLs: `{{version}}` is replaced by the version in question. A template is split once,
 * when the configuration is read, so variables inside values are never replaced.
 */
import type { WallInstant } from '../core/values/instant.ts';
import type { MetricsTarget } from './provider.ts';

const VARIABLES = ['strategy', 'version', 'chain', 'side', 'since', 'elapsed'] as const;
export type Variable = (typeof VARIABLES)[number];

/** Values of these are chosen by users; the others contain letters, digits and a point only. */
const FREE_TEXT: ReadonlySet<Variable> = new Set<Variable>(['strategy', 'version', 'chain']);

/** A piece of a template, and the position where it starts. */
export type Piece =
  | { readonly at: number; readonly text: string }
  | { readonly at: number; readonly variable: Variable };

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/**
 * Splits a template at its variables.
 * @returns the pieces in order, or an error message that names the unknown variable
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

/** Whether a value of this variable could change the meaning of its surroundings. */
export function isFreeText(variable: Variable): boolean {
  return FREE_TEXT.has(variable);
}

/**
 * The values of the variables: `since` is the start in epoch seconds, `elapsed` the whole seconds from it until now,
 * at least 1. Lone surrogates, which cannot be encoded, become U+FFFD.
 */
export function valuesOf(target: MetricsTarget, now: WallInstant): Readonly<Record<Variable, string>> {
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
