/**
 * A chart over time on uPlot: lines, a band between two of them, steps, and vertical markers. The numbers of the point
 * under the pointer stand above it; without a pointer those of the newest one do.
 */
import { type ReactElement, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { dateTime } from '../format';
import { usePalette } from '../ui/theme';
import { type Marker, markerPlugin } from './markers';
import { stepOf } from './step';

export interface Line {
  readonly label: string;
  /** A custom property of the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
  /** Holds its value until the next one. */
  readonly stepped?: boolean;
  readonly width?: number;
  /** Not in the legend: the edge of a band. */
  readonly silent?: boolean;
  /** Fills down to, or up to, zero. */
  readonly filled?: boolean;
}

export interface Band {
  /** Places of the upper and the lower edge among the lines. */
  readonly edges: readonly [upper: number, lower: number];
  readonly colour: string;
}

interface TimeChartProps {
  readonly title: string;
  /** What the chart shows now, in a sentence, for who cannot see it. */
  readonly description: string;
  /** Epoch ms, ascending. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly band?: Band;
  readonly markers?: readonly Marker[];
  /** A value as text, so exact that values that are `step` apart differ. */
  readonly format: (value: number, step: number) => string;
  /** Draws a line at zero; says what lies above and below it, parted by `|`. */
  readonly zero?: string;
  /** The least and the greatest value that must be seen; what lies outside runs out of the picture. */
  readonly reach?: readonly [number, number] | undefined;
  readonly height?: number;
}

const HEIGHT = 200;

export function TimeChart(props: TimeChartProps): ReactElement {
  const { title, description, times, lines, format, height = HEIGHT } = props;
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [under, setUnder] = useState<number | null>(null);
  const palette = usePalette();

  const data = useMemo<uPlot.AlignedData>(
    () => [times.map((time) => time / 1000), ...lines.map(({ values }) => [...values])],
    [times, lines],
  );
  // The chart is made anew when its form changes, and given new data otherwise.
  const form = JSON.stringify([
    palette,
    height,
    props.zero,
    props.reach,
    props.band,
    lines.map(({ values: _, ...rest }) => rest),
  ]);
  const markers = useRef<readonly Marker[]>([]);
  markers.current = props.markers ?? [];
  const latest = useRef(props);
  latest.current = props;

  // biome-ignore lint/correctness/useExhaustiveDependencies: `form` stands for all that is read through refs
  useEffect(() => {
    const place = frame.current;
    if (!place) return;
    const made = new uPlot(
      optionsOf(latest.current, markers, place.clientWidth, height, setUnder),
      data,
      place,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [form]);

  useEffect(() => {
    if (chart.current && chart.current.data !== data) chart.current.setData(data);
  }, [data]);

  const shown = under ?? times.length - 1;
  const step = useMemo(() => stepOf(lines.map(({ values }) => values)), [lines]);
  const at = times[shown];
  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-title">{title}</span>
        <span className="chart-legend">
          {lines.map(({ label, colour, values, dashed, silent }) =>
            silent ? null : (
              <span key={label} className="legend-entry">
                <span
                  className={`legend-line ${dashed ? 'legend-dashed' : ''}`}
                  style={{ borderColor: `var(${colour})` }}
                  aria-hidden="true"
                />
                {label} <b>{textOf(values[shown], (value) => format(value, step))}</b>
              </span>
            ),
          )}
          {at === undefined ? null : <span className="quiet">{dateTime(at)}</span>}
        </span>
      </figcaption>
      <div className="chart-frame" ref={frame} role="img" aria-label={`${title}. ${description}`} />
    </figure>
  );
}

function textOf(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

function optionsOf(
  { lines, band, format, zero, reach, times }: TimeChartProps,
  markers: { readonly current: readonly Marker[] },
  width: number,
  height: number,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colourOf = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colourOf('--ink-quiet'),
    grid: { stroke: colourOf('--grid'), width: 1 },
    ticks: { show: false },
    font: `11px ${style.getPropertyValue('--font').trim()}`,
  };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  return {
    width: Math.max(120, width),
    height,
    cursor: { y: false, points: { size: 7 } },
    legend: { show: false },
    padding: [10, 12, 0, 0],
    scales: {
      x: { time: true },
      y: {
        range: (_chart, low, high) =>
          reach ? rangeOf(...reach, true) : rangeOf(low, high, zero !== undefined),
      },
    },
    axes: [
      { ...axis, size: 26, space: 70, values: (_chart, ticks) => timeLabels(ticks) },
      {
        ...axis,
        size: (_chart, labels) => Math.max(62, ...(labels ?? []).map((label) => label.length * 7)),
        space: 34,
        values: (_chart, ticks, _axis, _space, step) => ticks.map((tick) => format(tick, step)),
      },
    ],
    series: [
      {},
      ...lines.map(
        (line): uPlot.Series => ({
          label: line.label,
          stroke: colourOf(line.colour),
          width: line.width ?? 2,
          points: { show: times.length < 3 },
          spanGaps: false,
          ...(line.dashed ? { dash: [6, 4] } : {}),
          ...(line.stepped && stepped ? { paths: stepped } : {}),
          ...(line.filled ? { fill: `${colourOf(line.colour)}33`, fillTo: () => 0 } : {}),
        }),
      ),
    ],
    ...(band
      ? { bands: [{ series: [band.edges[0] + 1, band.edges[1] + 1], fill: `${colourOf(band.colour)}2e` }] }
      : {}),
    plugins: [
      markerPlugin(markers, {
        zero,
        ink: colourOf('--ink'),
        quiet: colourOf('--ink-quiet'),
        font: axis.font,
      }),
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
}

/** One line a tick: the time of day in the viewer's zone, or the day where ticks are days apart. */
function timeLabels(ticks: readonly number[]): string[] {
  const [first = 0, second = first] = ticks;
  const style: Intl.DateTimeFormatOptions =
    second - first >= 86_400
      ? { day: 'numeric', month: 'short' }
      : {
          hour: '2-digit',
          minute: '2-digit',
          // `hour12: false` would show midnight as 24:00 in some languages.
          hourCycle: 'h23',
          ...(second - first < 60 ? { second: '2-digit' } : {}),
        };
  return ticks.map((tick) => new Date(tick * 1000).toLocaleString([], style));
}

/** All values and some air; zero among them where it has a meaning of its own. */
function rangeOf(low: number, high: number, withZero: boolean): [number, number] {
  const [from, to] = withZero ? [Math.min(0, low), Math.max(0, high)] : [low, high];
  const air = (to - from || Math.abs(to) || 1) * 0.08;
  return [from - air, to + air];
}
