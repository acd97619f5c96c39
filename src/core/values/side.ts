/** The two sides of a deployment. */

export const SIDES = ['CANARY', 'STABLE'] as const;

export type Side = (typeof SIDES)[number];

/** Something kept for each of the two sides. */
export type BySide<T> = Readonly<Record<Side, T>>;
