/** Serin in a process of its own, which says what a document cost it: CPU time, and the most memory above the beginning. */
import { readFileSync, writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { readEnvironment } from '../../src/environment/environment.ts';
import { startSerin } from '../../src/serin.ts';
import { WITH_KEYS } from '../harness/keys.ts';

/** Most resident memory since the last reset, MB; null where the system does not tell. */
function peakMb(field: 'VmHWM' | 'VmRSS'): number | null {
  try {
    const kilobytes = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kilobytes ? Number(kilobytes) / 1024 : null;
  } catch {
    return null;
  }
}

function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Then the peak is that of the whole run, and only the first document above it shows.
  }
}

const serin = await startSerin({
  ...readEnvironment({}),
  port: 0,
  databaseUrl: process.env.DATABASE_URL ?? '',
  logLevel: 'silent',
  access: WITH_KEYS,
});

/** The heap and buffers in use, MB. */
function usedMb(): number {
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 / 1024;
}

/** The most in use after a collection of garbage since the last reset. A document that needs none has used little. */
let mostUsedMb = 0;
/** Asking for the memory takes milliseconds. */
let measuring = false;
new PerformanceObserver(() => {
  if (measuring) mostUsedMb = Math.max(mostUsedMb, usedMb());
}).observe({ entryTypes: ['gc'] });

let before = { cpu: process.cpuUsage(), residentMb: 0, usedMb: 0 };
process.on('message', (message) => {
  if (message === 'stop') void serin.stop().then(() => process.exit(0));
  if (message === 'begin') {
    globalThis.gc?.();
    resetPeak();
    mostUsedMb = 0;
    measuring = true;
    before = { cpu: process.cpuUsage(), residentMb: peakMb('VmRSS') ?? 0, usedMb: usedMb() };
    process.send?.({});
  }
  if (message === 'end') {
    measuring = false;
    const { user, system } = process.cpuUsage(before.cpu);
    const resident = (peakMb('VmHWM') ?? 0) - before.residentMb;
    const mb = Math.max(0, resident, mostUsedMb - before.usedMb);
    process.send?.({ cpuMs: (user + system) / 1000, mb });
  }
});
process.send?.({ url: serin.url });
