/** Completion for bash, zsh and fish: the shells ask `serin complete` what may come next. */
import type { Command } from 'commander';
import { contextOf } from './context.ts';
import { usage } from './exitCodes.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_serin() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  COMPREPLY=($(compgen -W "$(serin complete -- "\${words[@]}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _serin serin
`,
  zsh: `#compdef serin
_serin() {
  local -a candidates
  candidates=(\${(f)"$(serin complete -- \${words[2,CURRENT-1]} 2>/dev/null)"})
  compadd -a candidates
}
compdef _serin serin
`,
  fish: `complete -c serin -f -a '(set -l words (commandline -opc); serin complete -- $words[2..] 2>/dev/null)'
`,
};

export function completionScript(shell: string): string {
  const script = SCRIPTS[shell];
  if (script === undefined) throw usage(`completion is there for bash, zsh and fish, not for ${shell}`);
  return script;
}

const IDS =
  'query { deployments(first: 200, orderBy: { field: CREATED_AT, direction: DESC }) { nodes { id } } }';

/** What may stand after these words: commands, ids of deployments, options. */
export async function complete(words: readonly string[], program: Command): Promise<string[]> {
  let command = program;
  let operands = 0;
  const server = { url: process.env.SERIN_URL, key: process.env.SERIN_KEY };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    const option = command.options.find(({ short, long }) => word === short || word === long);
    if (next) command = next;
    else if (option?.required) {
      // Its value is no operand, and the ids are those of the server that is named here.
      at += 1;
      if (option.long === '--url') server.url = words[at];
      if (option.long === '--key') server.key = words[at];
    } else if (!word.startsWith('-')) operands += 1;
  }
  const options = command.options.map(({ long }) => long ?? '').filter(Boolean);
  const names = command.commands.map((one) => one.name()).filter((name) => name !== 'complete');
  if (names.length > 0) return [...names, ...options];
  const wantsId = command.registeredArguments[operands]?.name() === 'id';
  return [...(wantsId ? await ids(command, server) : []), ...options];
}

async function ids(
  command: Command,
  { url, key }: { url: string | undefined; key: string | undefined },
): Promise<string[]> {
  try {
    if (url !== undefined) command.setOptionValue('url', url);
    if (key !== undefined) command.setOptionValue('key', key);
    const { serin } = contextOf(command);
    const { deployments } = await serin.query<{ deployments: { nodes: { id: string }[] } }>(IDS);
    return deployments.nodes.map(({ id }) => id);
  } catch {
    // Completion prints no error when the server is away.
    return [];
  }
}
