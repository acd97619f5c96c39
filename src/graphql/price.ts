/**
 * Prices that the schema states where one object is not the measure: reading a deployment or an event takes longer than
 * completing it. One unit is about 50 microseconds of CPU on the thread that answers others; a scalar takes a tenth.
 */
interface Priced {
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** Extensions of a field or type that costs this many units: a field on top of what it returns, a type instead of 1. */
export const costs = (units: number) => ({ cost: units });

/** What the extensions of a field or type say it costs; undefined if they say nothing. */
export const statedCost = ({ extensions: { cost } }: Priced): number | undefined =>
  typeof cost === 'number' ? cost : undefined;
