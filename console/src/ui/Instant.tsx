/** A time in the viewer's zone, with the exact instant on hover and for machines. */
import type { ReactElement } from 'react';
import { dateTime, isToday, timeOfDay } from '../format';

interface InstantProps {
  /** RFC 3339. */
  readonly at: string;
  /** Today, the time of day alone, with seconds. */
  readonly short?: boolean;
}

export function Instant({ at, short = false }: InstantProps): ReactElement {
  return (
    <time dateTime={at} title={`${new Date(at).toLocaleString()} · ${at}`}>
      {short && isToday(at) ? timeOfDay(at) : dateTime(at)}
    </time>
  );
}
