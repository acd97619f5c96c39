/**
 * PromQL with variables. Ids come from users, so a value may never become part of the query's meaning: it is accepted
 * only inside a quoted string, escaped for that string, and for the regular expression if the string is one.
 * Relies on the string syntax of Prometheus, https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals.
 */
import { cutTemplate, isFreeText, type Variable } from './variables.ts';

/** A query, cut at its variables and with what each value has to be escaped for. */
export type QueryTemplate = readonly QueryPiece[];

type QueryPiece = string | { readonly variable: Variable; readonly place: Place };

/** Where in a query something stands. */
type Place = 'CODE' | 'COMMENT' | 'AFTER_BACKSLASH' | QuotedPlace;

interface QuotedPlace {
  readonly quote: string;
  /** The string is the right side of `=~` or `!~`. */
  readonly regex: boolean;
}

/**
 * Reads a query.
 * @returns the template, or a sentence that says why values cannot be put into it safely
 */
export function parseQuery(query: string): QueryTemplate | string {
  if (query.trim() === '') return 'must not be empty';
  const pieces = cutTemplate(query);
  if (typeof pieces === 'string') return pieces;
  const template: QueryPiece[] = [];
  let place: Place = 'CODE';
  let code = '';
  for (const piece of pieces) {
    if ('text' in piece) {
      template.push(piece.text);
      ({ place, code } = walk(piece.text, place, code));
      continue;
    }
    const { variable } = piece;
    if (place === 'AFTER_BACKSLASH') return `has a backslash before {{${variable}}}: write two, or none`;
    if (isFreeText(variable) && !holdsValues(place)) {
      return `has {{${variable}}} outside of a "quoted" string, where its value could change the query`;
    }
    template.push({ variable, place });
  }
  return isQuoted(place) ? `has a string without its closing ${place.quote}` : template;
}

/** Puts the values in. */
export function renderQuery(template: QueryTemplate, values: Readonly<Record<Variable, string>>): string {
  return template
    .map((piece) => (typeof piece === 'string' ? piece : escapeFor(piece.place, values[piece.variable])))
    .join('');
}

const isQuoted = (place: Place): place is QuotedPlace => typeof place === 'object';

/** Strings in backticks know no escapes, so nothing can be put there. */
const holdsValues = (place: Place) => isQuoted(place) && place.quote !== '`';

/** Follows the query's text to the place at its end. `code` is what stood outside of strings just before. */
function walk(text: string, from: Place, before: string): { place: Place; code: string } {
  let place = from;
  let code = before;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (isQuoted(place)) {
      if (char === '\\' && place.quote !== '`') {
        if (++i === text.length) place = 'AFTER_BACKSLASH';
      } else if (char === place.quote) place = 'CODE';
    } else if (place === 'COMMENT') {
      if (char === '\n') place = 'CODE';
    } else if (char === '#') {
      place = 'COMMENT';
    } else if (char === '"' || char === "'" || char === '`') {
      place = { quote: char, regex: /[=!]~$/.test(code) };
      code = '';
    } else if (!/\s/.test(char)) {
      code = (code + char).slice(-2);
    }
  }
  return { place, code };
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
};

function escapeFor(place: Place, value: string): string {
  if (!isQuoted(place)) return value;
  const literal = place.regex ? value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&') : value;
  return literal.replace(/[\p{Cc}\\"']/gu, (char) => {
    if (char === '"' || char === "'") return char === place.quote ? `\\${char}` : char;
    return NAMED_ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
