/** How a command ends: its exit code and the sentence of an error. The codes are in docs/cli.md and never change. */
import { SerinError, SerinUnavailable } from '../client/index.ts';

export const EXIT = {
  done: 0,
  /** Serin refused: nothing was changed. */
  refused: 1,
  /** The command line itself is wrong: nothing was sent. */
  usage: 2,
  /** Serin does not answer: whether a command was carried out is not known. */
  unreachable: 3,
  /** There is no such thing, or the caller may not see it. */
  notFound: 4,
  /** The key is missing, wrong, or may not do this. */
  forbidden: 5,
  /** The audit trail is not as it was sealed. */
  broken: 6,
} as const;

/** Ends the command with a sentence and a code. */
export class CommandFailed extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

export const usage = (message: string) => new CommandFailed(message, EXIT.usage);
export const notFound = (message: string) => new CommandFailed(message, EXIT.notFound);

/** A result of the API that refuses what was asked. */
export interface Refused {
  readonly message: string;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly path: readonly (string | number)[];
  } | null;
}

/** The sentence of a refusal, the field and the code in it. */
export function refusal({ error, message }: Refused): CommandFailed {
  const path = error?.path.length ? ` (${error.path.join('.')})` : '';
  const exitCode = error?.code === 'NOT_FOUND' ? EXIT.notFound : EXIT.refused;
  return new CommandFailed(`${error?.message ?? message}${path} [${error?.code ?? 'REFUSED'}]`, exitCode);
}

const HINTS: Readonly<Record<string, string>> = {
  UNAUTHENTICATED: 'give a key with --key or SERIN_KEY',
  NOT_SERIN: 'check --url or SERIN_URL',
};

/** What GraphQL says about a value: the place in the input, if it names one, and what is wrong there. */
const WRONG_VALUE = /^Variable "\$\w+" got invalid value [\s\S]*?(?: at "([^"]+)")?; ([\s\S]+)$/;

/** A message of the API in the words of a command line, which has no variables. */
function plainly(message: string): string {
  const [, path, wrong] = WRONG_VALUE.exec(message) ?? [];
  if (wrong === undefined) return message;
  return path === undefined ? wrong : `${path}: ${wrong}`;
}

/** The sentence and the code of whatever went wrong. */
export function explain(error: unknown): { readonly message: string; readonly exitCode: number } {
  if (error instanceof CommandFailed) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof SerinUnavailable) {
    return { message: `${error.message} (check --url or SERIN_URL)`, exitCode: EXIT.unreachable };
  }
  if (error instanceof SerinError) {
    const hint = HINTS[error.code];
    const forbidden = error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN';
    const message = plainly(error.message);
    return {
      message: hint ? `${message}: ${hint}` : message,
      exitCode: forbidden ? EXIT.forbidden : error.code === 'NOT_SERIN' ? EXIT.unreachable : EXIT.refused,
    };
  }
  return { message: error instanceof Error ? error.message : String(error), exitCode: EXIT.refused };
}
