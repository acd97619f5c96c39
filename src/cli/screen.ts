/** The terminal's second screen, redrawn in place and left as it was: nothing of it stays in the scrollback. */
import { oneLineOf, type Terminal } from './terminal.ts';

export interface Screen {
  /** Draws lines from the top and a last one at their end, which stays where there is no room for all. */
  show(lines: readonly string[], last: string): void;
  /** Gives the terminal back as it was. */
  close(): void;
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CONTROL_C = '\x03';

/** @param onQuit called when the person leaves: q, Ctrl-C, or a signal */
export function openScreen(
  terminal: Terminal,
  onQuit: () => void,
  stdin: NodeJS.ReadStream = process.stdin,
): Screen {
  let open = true;
  const key = (pressed: Buffer) => {
    const text = pressed.toString();
    if (text === 'q' || text === CONTROL_C) onQuit();
  };
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdin.on('data', key);
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onQuit);
  terminal.raw(ENTER);
  const close = () => {
    if (!open) return;
    open = false;
    terminal.raw(LEAVE);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onQuit);
    process.off('exit', close);
    if (!stdin.isTTY) return;
    stdin.off('data', key);
    stdin.setRawMode(false);
    stdin.pause();
  };
  // However the process ends, the terminal is given back.
  process.on('exit', close);
  return {
    close,
    show(lines, last) {
      if (!open) return;
      const shown = [...lines.slice(0, Math.max(0, terminal.rows() - 1)), last].map(
        (line) => `${oneLineOf(line)}${CLEAR_LINE}`,
      );
      terminal.raw(`${HOME}${shown.join('\r\n')}${CLEAR_BELOW}`);
    },
  };
}
