/**
 * A sample of all mutants, the same one in each run: `SERIN_MUTANTS` is the share of top-level declarations that are
 * mutated, from 0 to 1.
 */
import { createHash } from 'node:crypto';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

const share = Number(process.env.SERIN_MUTANTS ?? 1);

/** A number from 0 to 1 that depends on the text alone. */
const position = (text) => createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;

const sample = {
  shouldIgnore(path) {
    if (!path.parentPath?.isProgram()) return undefined;
    const text = path.toString();
    return position(text) < share ? undefined : 'not in the sample';
  },
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'sample', sample)];
