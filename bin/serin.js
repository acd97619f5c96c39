#!/usr/bin/env node
// The command `serin`. It is a file of the repository and not of the build, so that `npx serin` finds it as soon as
// `npm ci` is done; in a clone it builds once what it runs. A published package has its build with it.
import { execSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = new URL('../dist/main.js', import.meta.url);
if (!existsSync(program)) {
  // What a build says is no answer of the command.
  execSync('npm run build --silent', {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: [0, 2, 2],
  });
}
await import(program.href);
