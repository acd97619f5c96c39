/** Processor time of processes (Linux; 100 ticks a second). */
import { readdir, readFile } from 'node:fs/promises';

interface Times {
  readonly parent: number;
  /** Seconds of the process itself, user and system. */
  readonly own: number;
  /** Seconds of its children that have ended. */
  readonly ended: number;
}

async function timesOf(pid: number): Promise<Times> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  const [parent = 0, user = 0, system = 0, endedUser = 0, endedSystem = 0] = [1, 11, 12, 13, 14].map(
    (index) => Number(fields[index]),
  );
  return { parent, own: (user + system) / 100, ended: (endedUser + endedSystem) / 100 };
}

/** Seconds of a process so far. */
export const processorSeconds = async (pid: number): Promise<number> => (await timesOf(pid)).own;

/** Seconds of a process and its children so far, also of those that have ended. */
export async function processorSecondsOfAll(pid: number): Promise<number> {
  const { own, ended } = await timesOf(pid);
  const others = (await readdir('/proc')).map(Number).filter(Number.isInteger);
  const children = await Promise.all(
    others.map(async (other) => {
      // One that ends meanwhile.
      const times = await timesOf(other).catch(() => null);
      return times?.parent === pid ? times.own : 0;
    }),
  );
  return children.reduce((sum, seconds) => sum + seconds, own + ended);
}
