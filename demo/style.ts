/** Colours and line wrapping for the demo's screen. */
import { styleText } from 'node:util';
import wrapAnsi from 'wrap-ansi';

export type Style = Parameters<typeof styleText>[0];

/** Colours a text, or leaves it plain where the output is not a terminal. */
export type Paint = (style: Style, text: string) => string;

/** Colours even when this process has no terminal: the caller knows where the text goes. */
export const inColour: Paint = (style, text) => styleText(style, text, { validateStream: false });
export const plain: Paint = (_style, text) => text;

/**
 * Breaks a text between words into lines of at most `width` columns. The first line keeps its own indentation, the
 * others are indented by `indent` columns.
 */
export function wrap(text: string, width: number, indent: number): string[] {
  const body = text.trimStart();
  const own = text.length - body.length;
  const lines = wrapAnsi(body, width - Math.max(own, indent), { hard: true }).split('\n');
  return lines.map((line, index) => ' '.repeat(index === 0 ? own : indent) + line);
}
