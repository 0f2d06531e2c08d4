import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useCallback,
  useMemo,
  useRef,
  useState,
} from "react";
import { TreeLines, type TreeLinesProps } from "../../ui/TreeLines.tsx";
import { clock } from "../../ui/time.ts";
import { Chart } from "./Chart.tsx";
import type { Lens } from "./lens.ts";
import type { Scene } from "./paint.ts";
import { drag, type Pointed } from "./pointing.ts";
import type { Survey } from "./survey.ts";
import { Tip } from "./Tip.tsx";

interface GanttProps {
  readonly lens: Lens;
  readonly scene: Scene;
  readonly lines: TreeLinesProps;
  readonly onSelect: (nodeId: string) => void;
}

/** Rows of the tree at the left, when each ran at the right, the whole run above. */
export function Gantt({ lens, scene, lines, onSelect }: GanttProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const minimap = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const around = useMemo(() => ({ frame, box, minimap, axis }), []);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const { survey, path } = scene;
  const noteOf = useCallback((id: string) => times(survey, survey.place(id)), [survey]);
  const markOf = useCallback(
    (id: string) => (path.has(survey.place(id)) ? "on the critical path" : undefined),
    [survey, path],
  );
  return (
    <div ref={frame} className="gantt" onKeyDownCapture={(event) => pressed(event, lens)}>
      <div className="gantt-head" aria-hidden="true">
        <canvas
          ref={minimap}
          className="gantt-minimap"
          onPointerDown={(event) => brush(event, lens)}
          onDoubleClick={() => lens.look(null)}
        />
        <canvas ref={axis} className="gantt-axis" />
      </div>
      <TreeLines
        {...lines}
        box={box}
        noteOf={noteOf}
        markOf={markOf}
        beside={<Chart {...{ lens, scene, around, onSelect }} onPoint={setPointed} />}
      />
      {pointed !== null && <Tip pointed={pointed} scene={scene} />}
    </div>
  );
}

/** When a node ran, in words: what its bar says. */
function times({ from, to }: Survey, place: number): string | undefined {
  const [began, ended] = [from[place] ?? Number.NaN, to[place]];
  if (Number.isNaN(began)) return undefined;
  if (ended === Number.POSITIVE_INFINITY) return `since ${clock(began)}`;
  return `${clock(began)} to ${clock(ended ?? began)}`;
}

/** `+`, `-`, `0`, and Shift with the arrows, before the tree takes them for the beginning of a title. */
function pressed(event: KeyboardEvent, lens: Lens): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "+" || event.key === "=") lens.zoom(0.5);
  else if (event.key === "-") lens.zoom(2);
  else if (event.key === "0") lens.look(null);
  else if (event.shiftKey && event.key === "ArrowLeft") lens.shift(-0.25);
  else if (event.shiftKey && event.key === "ArrowRight") lens.shift(0.25);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** In the small picture: drag what is looked at along, or drag anew what to look at. */
function brush(event: PointerEvent<HTMLCanvasElement>, lens: Lens): void {
  const canvas = event.currentTarget;
  const { left, width } = canvas.getBoundingClientRect();
  const { whole, range } = lens;
  const time = (at: number) => whole.from + ((at - left) / width) * (whole.to - whole.from);
  const begun = time(event.clientX);
  const inside = lens.get() !== null && begun >= range.from && begun <= range.to;
  drag(
    event,
    (by) => {
      const at = time(event.clientX + by);
      if (inside) lens.look({ from: range.from + at - begun, to: range.to + at - begun });
      else if (Math.abs(by) > 3) lens.look({ from: Math.min(begun, at), to: Math.max(begun, at) });
    },
    () => {},
  );
}
