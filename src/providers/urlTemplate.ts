/**
 * URLs with variables. Values are percent-encoded and allowed in the path and the query only: an id cannot change the
 * host, the folder, or another parameter.
 */
import { cutTemplate, type Piece, type Variable } from './variables.ts';

export type UrlTemplate = readonly Piece[];

const ORIGIN = /^https?:\/\/[^/?#\\]+/i;

/**
 * Parses a URL template.
 * @returns the template, or an error message that does not contain the URL
 */
export function parseUrlTemplate(url: string): UrlTemplate | string {
  const pieces = cutTemplate(url);
  if (typeof pieces === 'string') return pieces;
  const origin = ORIGIN.exec(url)?.[0] ?? '';
  if (origin.includes('{{')) return 'must not have variables before the path: the host is fixed';
  if (!URL.canParse(origin)) return 'must be a URL that starts with http:// or https:// and a host';
  if (url.includes('${')) return 'must not name environment variables: secrets belong in headers';
  return pieces;
}

/**
 * Inserts the values.
 * @returns the URL, or an error message if a value would lead to another folder
 */
export function renderUrl(template: UrlTemplate, values: Readonly<Record<Variable, string>>): URL | string {
  const text = template
    .map((piece) => ('text' in piece ? piece.text : encodeURIComponent(values[piece.variable])))
    .join('');
  const path = text.replace(ORIGIN, '').replace(/[?#].*$/s, '');
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) {
    return 'was not requested: an id that is "." or ".." cannot stand in a URL';
  }
  return new URL(text);
}

/** The values of the fixed query parameters: one of them may be a key. */
export function fixedParameters(template: UrlTemplate): string[] {
  const text = template.map((piece) => ('text' in piece ? piece.text : '')).join('');
  return [...new URL(text).searchParams.values()];
}
