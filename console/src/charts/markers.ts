/** What happened, on a chart over time: a dashed line with a letter above it, and the line at zero. */
import type uPlot from 'uplot';

export interface Marker {
  /** Epoch ms. */
  readonly at: number;
  /** One or two letters. */
  readonly sign: string;
  readonly description: string;
}

interface MarkerStyle {
  /** What lies above and below the line at zero, parted by `|`; undefined for no line. */
  readonly zero: string | undefined;
  readonly ink: string;
  readonly quiet: string;
  readonly font: string;
}

/** Signs nearer than so many pixels share one place: the later is left out, its line stays. */
const SIGN_WIDTH = 12;

export function markerPlugin(
  markers: { readonly current: readonly Marker[] },
  { zero, ink, quiet, font }: MarkerStyle,
): uPlot.Plugin {
  return {
    hooks: {
      drawAxes: [
        (chart) => {
          if (zero === undefined) return;
          const { ctx, bbox } = chart;
          const y = Math.round(chart.valToPos(0, 'y', true));
          if (y < bbox.top || y > bbox.top + bbox.height) return;
          ctx.save();
          ctx.strokeStyle = ink;
          ctx.lineWidth = devicePixelRatio;
          ctx.beginPath();
          ctx.moveTo(bbox.left, y);
          ctx.lineTo(bbox.left + bbox.width, y);
          ctx.stroke();
          ctx.fillStyle = quiet;
          ctx.font = scaled(font);
          ctx.textAlign = 'left';
          ctx.textBaseline = 'bottom';
          const [above = '', below = ''] = zero.split('|');
          ctx.fillText(above, bbox.left + 6 * devicePixelRatio, y - 3 * devicePixelRatio);
          ctx.textBaseline = 'top';
          ctx.fillText(below, bbox.left + 6 * devicePixelRatio, y + 4 * devicePixelRatio);
          ctx.restore();
        },
      ],
      draw: [
        (chart) => {
          const { ctx, bbox } = chart;
          ctx.save();
          ctx.strokeStyle = quiet;
          ctx.fillStyle = ink;
          ctx.lineWidth = devicePixelRatio;
          ctx.font = scaled(font);
          ctx.textAlign = 'center';
          ctx.textBaseline = 'top';
          let last = Number.NEGATIVE_INFINITY;
          for (const { at, sign } of markers.current) {
            const x = Math.round(chart.valToPos(at / 1000, 'x', true));
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
            if (x - last < SIGN_WIDTH * devicePixelRatio) continue;
            last = x;
            ctx.fillText(sign, x, Math.max(0, bbox.top - 9 * devicePixelRatio));
          }
          ctx.restore();
        },
      ],
    },
  };
}

/** A font for the canvas, whose pixels are the screen's. */
function scaled(font: string): string {
  return font.replace(/^(\d+)px/, (_whole, size: string) => `${Number(size) * devicePixelRatio}px`);
}
