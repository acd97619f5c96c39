/**
 * PromQL with variables. Ids come from users, so a value must never change the meaning of a query: it is accepted only
 * inside a quoted string, escaped for that string, and for the regular expression if the string is one.
 * Relies on the string syntax of Prometheus, https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals.
 */
import { cutTemplate, isFreeText, type Variable } from './variables.ts';

/** A query split at its variables, with how each value must be escaped. */
export type QueryTemplate = readonly QueryPiece[];

type QueryPiece = string | { readonly variable: Variable; readonly state: LexerState };

/** The lexer's state at a position of a query. */
type LexerState = 'CODE' | 'COMMENT' | 'AFTER_BACKSLASH' | QuotedState;

interface QuotedState {
  readonly quote: string;
  /** The string is the right side of `=~` or `!~`. */
  readonly regex: boolean;
}

/**
 * Parses a query.
 * @returns the template, or an error message that says why values cannot be inserted safely
 */
export function parseQuery(query: string): QueryTemplate | string {
  if (query.trim() === '') return 'must not be empty';
  const pieces = cutTemplate(query);
  if (typeof pieces === 'string') return pieces;
  const template: QueryPiece[] = [];
  let state: LexerState = 'CODE';
  let code = '';
  for (const piece of pieces) {
    if ('text' in piece) {
      template.push(piece.text);
      ({ state, code } = walk(piece.text, state, code));
      continue;
    }
    const { variable } = piece;
    if (state === 'AFTER_BACKSLASH') return `has a backslash before {{${variable}}}: write two, or none`;
    if (isFreeText(variable) && !holdsValues(state)) {
      return `has {{${variable}}} outside of a "quoted" string, where its value could change the query`;
    }
    template.push({ variable, state });
  }
  return isQuoted(state) ? `has a string without its closing ${state.quote}` : template;
}

/** Inserts the values. */
export function renderQuery(template: QueryTemplate, values: Readonly<Record<Variable, string>>): string {
  return template
    .map((piece) => (typeof piece === 'string' ? piece : escapeFor(piece.state, values[piece.variable])))
    .join('');
}

const isQuoted = (state: LexerState): state is QuotedState => typeof state === 'object';

/** Strings in backticks have no escapes, so nothing can be inserted there. */
const holdsValues = (state: LexerState) => isQuoted(state) && state.quote !== '`';

/** Advances the lexer over a piece of the query. `code` is the text outside strings just before. */
function walk(text: string, from: LexerState, before: string): { state: LexerState; code: string } {
  let state = from;
  let code = before;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (isQuoted(state)) {
      if (char === '\\' && state.quote !== '`') {
        if (++i === text.length) state = 'AFTER_BACKSLASH';
      } else if (char === state.quote) state = 'CODE';
    } else if (state === 'COMMENT') {
      if (char === '\n') state = 'CODE';
    } else if (char === '#') {
      state = 'COMMENT';
    } else if (char === '"' || char === "'" || char === '`') {
      state = { quote: char, regex: /[=!]~$/.test(code) };
      code = '';
    } else if (!/\s/.test(char)) {
      code = (code + char).slice(-2);
    }
  }
  return { state, code };
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
};

function escapeFor(state: LexerState, value: string): string {
  if (!isQuoted(state)) return value;
  const literal = state.regex ? value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&') : value;
  return literal.replace(/[\p{Cc}\\"']/gu, (char) => {
    if (char === '"' || char === "'") return char === state.quote ? `\\${char}` : char;
    return NAMED_ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * Whether a query has a function that extrapolates to the ends of its range, so that its result falls as the range grows:
 * https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
 */
export function extrapolates(template: QueryTemplate): boolean {
  const text = template.map((piece) => (typeof piece === 'string' ? piece : '')).join('');
  return /\b(increase|rate|delta)\s*\(/.test(text);
}
