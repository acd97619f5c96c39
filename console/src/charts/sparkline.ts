/** The geometry of the small pictures of the cards: SVG paths in a box of 100 by 30. */

export const WIDTH = 100;
export const HEIGHT = 30;

export interface Sparkline {
  readonly canary: string;
  readonly stable: string;
  /** Where zero lies, from the top. */
  readonly zero: number;
}

/** Both sides on one scale. Values are fractions of capital in the order of time; null where there is none. */
export function sparkline(
  canary: readonly (number | null)[],
  stable: readonly (number | null)[],
): Sparkline | null {
  const values = [...canary, ...stable].filter((value) => value !== null);
  if (values.length < 2) return null;
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const span = high - low || 1;
  const y = (value: number) => HEIGHT - 1 - ((value - low) / span) * (HEIGHT - 2);
  const path = (side: readonly (number | null)[]) => {
    const step = WIDTH / Math.max(1, side.length - 1);
    let text = '';
    let drawing = false;
    side.forEach((value, index) => {
      if (value === null) {
        drawing = false;
        return;
      }
      text += `${drawing ? 'L' : 'M'}${(index * step).toFixed(2)} ${y(value).toFixed(2)}`;
      drawing = true;
    });
    return text;
  };
  return { canary: path(canary), stable: path(stable), zero: y(0) };
}
