import { type ReactNode, type RefObject, useEffect, useMemo, useRef } from "react";
import { rowHeight } from "../../ui/TreeLines.tsx";
import { AXIS, MINIMAP, paintAxis, paintMinimap } from "./head.ts";
import { emptied, type Ink, readInk } from "./ink.ts";
import type { Lens } from "./lens.ts";
import { Painter, type Place, type Scene } from "./paint.ts";
import { hit, type Pointed, usePointing } from "./pointing.ts";
import { Columns } from "./summary.ts";
import { useFrame, useScheme, useSize } from "./useFrame.ts";

/** The canvases above the rows, and what is around all of it. */
export interface Surroundings {
  readonly frame: RefObject<HTMLDivElement | null>;
  /** What scrolls. */
  readonly box: RefObject<HTMLDivElement | null>;
  readonly minimap: RefObject<HTMLCanvasElement | null>;
  readonly axis: RefObject<HTMLCanvasElement | null>;
}

interface ChartProps {
  readonly lens: Lens;
  readonly scene: Scene;
  readonly around: Surroundings;
  readonly onSelect: (nodeId: string) => void;
  readonly onPoint: (pointed: Pointed | null) => void;
}

/** So far above and below what is in view is drawn too: scrolling is the browser's, and quicker than a drawing. */
const OVER = 240;

/** As wide as the rows beside it need, and no wider than the half of a phone. */
function treeWidth(width: number): number {
  return Math.round(Math.max(Math.min(170, width * 0.45), Math.min(440, width * 0.34)));
}

/** The bars, drawn over the right of the rows; not through React: a zoom draws three canvases and nothing else. */
export function Chart({ lens, scene, around, onSelect, onPoint }: ChartProps): ReactNode {
  const { frame, box } = around;
  const chart = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(box);
  const scheme = useScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are others in another scheme
  const ink = useMemo(readInk, [scheme]);
  const row = useMemo(rowHeight, []);
  const [columns, whole] = useMemo(() => [new Columns(), new Columns()], []);
  const tree = treeWidth(size.width);
  const width = Math.max(1, size.width - tree);
  const top = useRef(0);
  const { survey, rows, now } = scene;

  const draw = useFrame(() => {
    if (box.current === null || chart.current === null || canvas.current === null || size.width === 0) return;
    top.current = Math.max(0, box.current.scrollTop - OVER);
    const height = Math.min(rows.length * row - top.current, size.height + 2 * OVER);
    chart.current.style.transform = `translateY(${top.current}px)`;
    const [hovered, chosen] = [pointing.hovered.current, pointing.chosen.current];
    const place = { scale: { ...lens.range, width }, top: top.current, height, row, hovered, chosen };
    const pen = emptied(canvas.current, width, height);
    if (pen !== null) new Painter(pen, ink, scene, place, columns).paint();
    paintHead(around, ink, lens, whole, place);
  });
  const pointing = usePointing({
    chart,
    lens,
    width,
    at: (left, down) => hit(scene, { ...lens.range, width }, left, Math.floor((down + top.current) / row)),
    draw,
    onPoint,
    onPick: (place) => onSelect(survey.ids[place] ?? ""),
  });

  useEffect(() => {
    lens.reach(survey.first, survey.going ? Math.max(survey.last, now) : survey.last);
    whole.count(survey, -1, { ...lens.whole, width }, now);
    frame.current?.style.setProperty("--gantt-tree", `${tree}px`);
  }, [survey, now, width, tree, lens, whole, frame]);
  useEffect(draw);
  useEffect(() => lens.subscribe(draw), [lens, draw]);
  useEffect(() => {
    const scroller = box.current;
    scroller?.addEventListener("scroll", draw, { passive: true });
    return () => scroller?.removeEventListener("scroll", draw);
  }, [box, draw]);
  const { onPointerMove, onPointerLeave, onPointerDown } = pointing;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: for pointers only; the rows and the toolbar do the same
    <div
      ref={chart}
      className="gantt-chart"
      aria-hidden="true"
      // A click here gives the tree no focus: with it the tree would go to its first row.
      onMouseDown={(event) => event.preventDefault()}
      {...{ onPointerMove, onPointerLeave, onPointerDown }}
    >
      <canvas ref={canvas} />
    </div>
  );
}

function paintHead(around: Surroundings, ink: Ink, lens: Lens, counted: Columns, { scale }: Place): void {
  const { axis, minimap } = around;
  const above = axis.current === null ? null : emptied(axis.current, scale.width, AXIS);
  if (above !== null) paintAxis(above, ink, scale, AXIS);
  const small = minimap.current === null ? null : emptied(minimap.current, scale.width, MINIMAP);
  if (small === null) return;
  paintMinimap(small, ink, counted, { ...lens.whole, width: scale.width }, MINIMAP, lens.range);
}
