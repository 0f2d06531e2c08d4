/** Lines over time. Loaded with the views that draw them: uplot is not part of the first page. */
import "uplot/dist/uPlot.min.css";
import "./plot.css";
import { type ReactNode, useEffect, useRef } from "react";
import UPlot from "uplot";

export interface Series {
  readonly label: string;
  /** A custom property with the colour: `--running`. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
}

interface PlotProps {
  readonly title: string;
  /** Seconds since 1970, rising. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** Each on top of the one before. */
  readonly stacked?: boolean;
}

const HEIGHT = 180;

export function Plot({ title, times, series, stacked = false }: PlotProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const labels = series.map((one) => `${one.label} ${one.colour}`).join("|");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other lines are another plot; other values are set below
  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    const made = new UPlot(options(place, series, stacked), data(times, series, stacked), place);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height: HEIGHT }));
    watch.observe(place);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [labels, stacked]);
  useEffect(() => plot.current?.setData(data(times, series, stacked)), [times, series, stacked]);
  const last = series.map((one) => `${one.label}: ${one.values.at(-1) ?? "–"}`).join(", ");
  return (
    <figure className="card plot" aria-label={`${title}. Now: ${last}`}>
      <h2>{title}</h2>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
}

/** Below this width a time has one line: the date that the first tick has below it would cover its neighbours. */
const NARROW = 420;

/** How the ticks of the time axis are written; undefined: as uPlot does. */
function times(place: HTMLElement): UPlot.Axis["values"] | undefined {
  if (place.clientWidth >= NARROW) return undefined;
  return (_, ticks) => {
    const short = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) < 600;
    const form = new Intl.DateTimeFormat(undefined, {
      hour: "numeric",
      minute: "2-digit",
      ...(short ? { second: "2-digit" } : {}),
      hour12: false,
    });
    // Every second one is written: more find no room.
    return ticks.map((tick, n) => (n % 2 === 0 ? form.format(tick * 1000) : ""));
  };
}

function options(place: HTMLElement, series: readonly Series[], stacked: boolean): UPlot.Options {
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: place.clientWidth || 400,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    legend: { live: true },
    scales: {
      x: { time: true },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
    },
    axes: [
      { ...axis, values: times(place) },
      { ...axis, size: 52 },
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 1.5,
        points: { show: false },
        ...(stacked ? { fill: colour(`${one.colour}-soft`) } : {}),
      })),
    ],
  };
}

/** The columns of a plot. One moment alone would be the beginning of an axis of years: a minute is before it. */
export function data(
  times: readonly number[],
  series: readonly Series[],
  stacked: boolean,
): UPlot.AlignedData {
  const [first] = times;
  if (times.length === 1 && first !== undefined) {
    const led = series.map((one) => ({ ...one, values: [null, ...one.values] }));
    return data([first - 60, first], led, stacked);
  }
  const lines = series.map((one) => [...one.values]);
  if (stacked) {
    for (let at = lines.length - 2; at >= 0; at -= 1) {
      const below = lines[at + 1] ?? [];
      lines[at] = (lines[at] ?? []).map((value, index) => (value ?? 0) + (below[index] ?? 0));
    }
  }
  return [[...times], ...lines] as UPlot.AlignedData;
}
