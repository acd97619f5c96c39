/** A Dockerfile as a list of instructions; lines that go on with a backslash are joined. */
export interface Instruction {
  readonly instruction: string;
  readonly value: string;
}

export function parseDockerfile(text: string): Instruction[] {
  return text
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [instruction = '', ...rest] = line.split(' ');
      return { instruction, value: rest.join(' ') };
    });
}
