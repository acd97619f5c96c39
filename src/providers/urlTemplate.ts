/**
 * URLs with variables. Values are percent-encoded, and may stand in the path and the query only: no id can lead a
 * request to another host, to another folder, or into another parameter.
 */
import { cutTemplate, type Piece, type Variable } from './variables.ts';

export type UrlTemplate = readonly Piece[];

const ORIGIN = /^https?:\/\/[^/?#\\]+/i;

/**
 * Reads a URL template.
 * @returns the template, or a sentence, without the URL, that says what is wrong with it
 */
export function parseUrlTemplate(url: string): UrlTemplate | string {
  const pieces = cutTemplate(url);
  if (typeof pieces === 'string') return pieces;
  const origin = ORIGIN.exec(url)?.[0] ?? '';
  if (origin.includes('{{')) return 'must not have variables before the path: the host is fixed';
  if (!URL.canParse(origin)) return 'must be a URL that starts with http:// or https:// and a host';
  if (url.includes('${')) return 'must not name variables of the environment: secrets belong into headers';
  return pieces;
}

/**
 * Puts the values in.
 * @returns the URL, or a sentence when a value would be taken for a step to another folder
 */
export function renderUrl(template: UrlTemplate, values: Readonly<Record<Variable, string>>): URL | string {
  const text = template
    .map((piece) => ('text' in piece ? piece.text : encodeURIComponent(values[piece.variable])))
    .join('');
  const path = text.replace(ORIGIN, '').replace(/[?#].*$/s, '');
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) {
    return 'was not asked: an id that is "." or ".." cannot stand in a URL';
  }
  return new URL(text);
}

/** The query parameters that are fixed: one of them may be a key. */
export function fixedParameters(template: UrlTemplate): string[] {
  const text = template.map((piece) => ('text' in piece ? piece.text : '')).join('');
  return [...new URL(text).searchParams.values()];
}
