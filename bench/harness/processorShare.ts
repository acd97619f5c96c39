/**
 * Processes that may use only a share of a core, so that several machines fit on one: a control group of Linux (version 1 or
 * 2) bounds all processes in it together. Needs root, as control groups do.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Microseconds after which a group gets its share again. The kernel hands it out in slices of 5 ms to each core. */
const PERIOD_US = 100_000;

const SECOND = '/sys/fs/cgroup';
const FIRST = '/sys/fs/cgroup/cpu';
let made = 0;

export interface ProcessorShare {
  /** Puts a process and those that it has started into the group; those that they start later are in it, too. */
  add(pid: number): Promise<void>;
  /** Removes the group; its processes must have ended. */
  remove(): Promise<void>;
}

/** @param cores such as 0.2 */
export async function processorShare(cores: number): Promise<ProcessorShare> {
  made += 1;
  const isFirst = existsSync(join(FIRST, 'cpu.cfs_quota_us'));
  const group = join(isFirst ? FIRST : SECOND, `serin-bench-${process.pid}-${made}`);
  const quota = Math.round(cores * PERIOD_US);
  try {
    if (!isFirst) await writeFile(join(SECOND, 'cgroup.subtree_control'), '+cpu');
    await mkdir(group);
    if (isFirst) {
      await writeFile(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
      await writeFile(join(group, 'cpu.cfs_quota_us'), String(quota));
    } else {
      await writeFile(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`);
    }
  } catch (error) {
    throw new Error('control groups cannot be made here: run this part as root on Linux', { cause: error });
  }
  return {
    async add(pid) {
      for (const each of await familyOf(pid)) await writeFile(join(group, 'cgroup.procs'), String(each));
    },
    remove: () => rmdir(group),
  };
}

async function familyOf(pid: number): Promise<number[]> {
  const children = await Promise.all(
    (await readdir('/proc'))
      .map(Number)
      .filter(Number.isInteger)
      .map(async (other) => {
        const text = await readFile(`/proc/${other}/stat`, 'utf8').catch(() => '');
        return Number(text.split(') ')[1]?.split(' ')[1]) === pid ? [other] : [];
      }),
  );
  return [pid, ...children.flat()];
}
