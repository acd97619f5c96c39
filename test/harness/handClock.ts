/** A clock that a test advances: alarms fire in order, and their consequences settle in between. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/core/embedding/clock.ts';

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

export class HandClock implements Clock {
  #now = Date.parse('2026-01-05T09:00:00Z');
  #alarms: Alarm[] = [];

  now(): number {
    return this.#now;
  }

  wakeIn(milliseconds: number, callback: () => void): () => void {
    const alarm = { at: this.#now + milliseconds, callback };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((each) => each !== alarm);
    };
  }

  /** Alarms that are set. */
  get waiting(): number {
    return this.#alarms.length;
  }

  /** Jumps, like a machine that slept or a clock that was set: no alarm fires on the way. */
  jump(seconds: number): void {
    this.#now += seconds * 1000;
  }

  async advance(seconds: number): Promise<void> {
    const until = this.#now + seconds * 1000;
    for (let next = this.#due(until); next; next = this.#due(until)) {
      const alarm = next;
      this.#alarms = this.#alarms.filter((each) => each !== alarm);
      this.#now = Math.max(this.#now, alarm.at);
      alarm.callback();
      await turn();
    }
    this.#now = until;
  }

  #due(until: number): Alarm | undefined {
    return this.#alarms.filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
  }
}
