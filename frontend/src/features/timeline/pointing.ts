/** What a pointer does in the chart: point at bars, choose nodes, drag a stretch of time, zoom. */
import { type PointerEvent, type RefObject, useEffect, useRef } from "react";
import type { Attempt } from "../../core/index.ts";
import type { Lens } from "./lens.ts";
import type { Scene } from "./paint.ts";
import { type Scale, timeAt, unitAt, until } from "./summary.ts";
import { earlierOf, type Span } from "./survey.ts";

/** A node that is pointed at, and where the pointer is on the page. */
export interface Pointed {
  readonly place: number;
  /** An attempt before the present one; null: none of them. */
  readonly attempt: Attempt | null;
  readonly x: number;
  readonly y: number;
}

/** What is at a place of the chart. */
export interface Hit {
  readonly row: number;
  /** The row's node, or of a collapsed branch the unit that is there; -1: there is no row. */
  readonly place: number;
  /** The attempt before the present one that is there; null: there is none. */
  readonly attempt: Attempt | null;
  /** Whether its bar is there. */
  readonly met: boolean;
}

const NO_FIELDS = {};
/** A bar is met so many pixels beside it. */
const NEAR = 3;
/** A pointer that moved less did not drag. */
const STILL = 4;

/** What is so many pixels from the left and in this row. */
export function hit({ survey, rows, now }: Scene, scale: Scale, left: number, row: number): Hit {
  const line = rows[row];
  const node = line === undefined ? -1 : survey.place(line.id);
  if (line === undefined || node < 0) return { row, place: -1, attempt: null, met: false };
  const time = timeAt(scale, left);
  const slack = (NEAR / scale.width) * (scale.to - scale.from);
  const closed = line.expandable && !line.expanded && survey.unit[node] === 0;
  const unit = closed ? unitAt(survey, node, time, slack, now) : -1;
  if (unit >= 0) return { row, place: unit, attempt: null, met: true };
  const near = ({ from, to }: Span) => time >= from - slack && time <= to + slack;
  const before = closed ? undefined : earlierOf(survey.fields(node) ?? NO_FIELDS).find(near);
  if (before !== undefined) return { row, place: node, attempt: before.attempt, met: true };
  const own = !Number.isNaN(survey.from[node]!) && survey.unit[node] === 1;
  const from = own ? survey.from[node]! : survey.hullFrom[node]!;
  const to = until(from, own ? survey.to[node]! : survey.hullTo[node]!, now);
  return { row, place: node, attempt: null, met: near({ from, to }) };
}

export interface Pointing {
  /** The row under the pointer; -1: none. */
  readonly hovered: RefObject<number>;
  /** The stretch that is being dragged, in pixels. */
  readonly chosen: RefObject<readonly [number, number] | null>;
  readonly onPointerMove: (event: PointerEvent) => void;
  readonly onPointerLeave: () => void;
  readonly onPointerDown: (event: PointerEvent<HTMLElement>) => void;
}

interface PointingProps {
  readonly chart: RefObject<HTMLElement | null>;
  readonly lens: Lens;
  readonly width: number;
  readonly at: (left: number, down: number) => Hit;
  readonly draw: () => void;
  readonly onPoint: (pointed: Pointed | null) => void;
  readonly onPick: (place: number) => void;
}

export function usePointing({ chart, lens, width, at, draw, onPoint, onPick }: PointingProps): Pointing {
  const hovered = useRef(-1);
  const chosen = useRef<readonly [number, number] | null>(null);
  useWheel(chart, lens);
  const from = (event: { clientX: number; clientY: number }) => {
    const corner = chart.current?.getBoundingClientRect() ?? { left: 0, top: 0 };
    return [event.clientX - corner.left, event.clientY - corner.top] as const;
  };
  const onPointerMove = (event: PointerEvent) => {
    const { row, place, attempt, met } = at(...from(event));
    if (row !== hovered.current) draw();
    hovered.current = row;
    const { clientX: x, clientY: y } = event;
    onPoint(met && event.pointerType === "mouse" ? { place, attempt, x, y } : null);
  };
  const onPointerLeave = () => {
    hovered.current = -1;
    onPoint(null);
    draw();
  };
  const onPointerDown = (event: PointerEvent<HTMLElement>) => {
    if (event.button !== 0) return;
    const [left, down] = from(event);
    const { place } = at(left, down);
    // A finger moves what is seen, a mouse chooses a stretch of it.
    const along = event.shiftKey || event.pointerType !== "mouse";
    const { range } = lens;
    let dragged = false;
    const move = (by: number) => {
      dragged ||= Math.abs(by) > STILL;
      if (!dragged) return;
      onPoint(null);
      const time = (-by / width) * (range.to - range.from);
      if (along) lens.look({ from: range.from + time, to: range.to + time });
      else
        chosen.current = [Math.max(0, Math.min(left, left + by)), Math.min(width, Math.max(left, left + by))];
      draw();
    };
    const end = (lifted: boolean) => {
      const [one, other] = chosen.current ?? [0, 0];
      chosen.current = null;
      draw();
      if (!lifted) return;
      const scale = { ...lens.range, width };
      if (!dragged && place >= 0) onPick(place);
      else if (one < other) lens.look({ from: timeAt(scale, one), to: timeAt(scale, other) });
    };
    drag(event, move, end);
  };
  return { hovered, chosen, onPointerMove, onPointerLeave, onPointerDown };
}

/** Follow a pointer, by how many pixels it is further right, until it is lifted or (`lifted` false) taken away. */
export function drag(
  { currentTarget: target, pointerId, clientX: begun }: PointerEvent<HTMLElement>,
  move: (by: number) => void,
  end: (lifted: boolean) => void,
): void {
  const moved = (event: globalThis.PointerEvent) => move(event.clientX - begun);
  const ended = (event: globalThis.PointerEvent) => {
    target.removeEventListener("pointermove", moved);
    target.removeEventListener("pointerup", ended);
    target.removeEventListener("pointercancel", ended);
    end(event.type === "pointerup");
  };
  target.setPointerCapture(pointerId);
  target.addEventListener("pointermove", moved);
  target.addEventListener("pointerup", ended);
  target.addEventListener("pointercancel", ended);
}

/** Ctrl and the wheel zoom around the pointer; sideways it moves. Not through React: it must keep the page from scrolling. */
function useWheel(chart: RefObject<HTMLElement | null>, lens: Lens): void {
  useEffect(() => {
    const place = chart.current;
    if (place === null) return;
    const wheel = (event: WheelEvent) => {
      const { left, width } = place.getBoundingClientRect();
      const side = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        const scale = { ...lens.range, width };
        lens.zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(scale, event.clientX - left));
      } else if (event.shiftKey || Math.abs(side) > Math.abs(event.deltaY)) lens.shift(side / width);
      else return;
      event.preventDefault();
    };
    place.addEventListener("wheel", wheel, { passive: false });
    return () => place.removeEventListener("wheel", wheel);
  }, [chart, lens]);
}
