/** The two sides of a deployment. */

export const SIDES = ['CANARY', 'STABLE'] as const;

export type Side = (typeof SIDES)[number];

/** A value per side. */
export type BySide<T> = Readonly<Record<Side, T>>;
