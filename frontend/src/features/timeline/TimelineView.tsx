import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { FilterFields } from "../../ui/FilterFields.tsx";
import { FoldButtons, SortField, useLook } from "../../ui/look.tsx";
import { useSnapshot } from "../../ui/looking.ts";
import { useSmall } from "../../ui/More.tsx";
import { Empty } from "../../ui/parts.tsx";
import { looksAtFields, rows } from "../../ui/rows.ts";
import { duration, useMoment, useNow } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { useWord } from "../../ui/words.ts";
import { criticalPath } from "./critical.ts";
import { Gantt } from "./Gantt.tsx";
import { Lens, readRange, written } from "./lens.ts";
import { Path, type Scene } from "./paint.ts";
import { mostAtOnce, Survey } from "./survey.ts";
import "./timeline.css";

const NOTHING: readonly string[] = [];

export default function TimelineView({ projectId, tree, selected, onSelect }: ViewProps): ReactNode {
  const snapshot = useSnapshot(tree, 500);
  const { look, keep } = useLook(projectId);
  const [critical, setCritical] = useState(true);
  const [usual, setUsual] = useState(true);
  const lens = useLens();
  const small = useSmall();
  const moment = useMoment();
  const survey = useMemo(() => new Survey(snapshot), [snapshot]);
  const basis = looksAtFields(look) ? snapshot : snapshot.shape;
  // biome-ignore lint/correctness/useExhaustiveDependencies: without a filter or an order the shape is all that counts
  const all = useMemo(() => rows(snapshot, look, moment()), [basis, look, moment]);
  const ids = useMemo(() => (critical ? criticalPath(survey) : NOTHING), [critical, survey]);
  const path = useMemo(() => new Path(survey, ids, all), [survey, ids, all]);
  const going = useNow();
  const now = Number.isNaN(going) ? survey.last : going;
  const scene = useMemo<Scene>(
    () => ({ survey, rows: all, now, path, usual }),
    [survey, all, now, path, usual],
  );
  if (Number.isNaN(survey.first)) {
    return (
      <Empty title="Nothing tells yet when it began">
        <p className="muted">
          Nodes with <code>started_at</code> and <code>ended_at</code> stand here. The Python client sets both
          by itself.
        </p>
      </Empty>
    );
  }
  const besides = (
    <>
      <Shift lens={lens} />
      <Summary scene={scene} />
    </>
  );
  return (
    <>
      <div className="toolbar gantt-tools" role="toolbar" aria-label="Timeline">
        <FilterFields tree={tree}>
          <SortField />
          <FoldButtons tree={tree} keep={keep} />
          <Toggle name="Critical path" on={critical} set={setCritical} />
          <Toggle name="Usual times" on={usual} set={setUsual} />
          {small && besides}
        </FilterFields>
        <Zoom lens={lens} />
        {!small && besides}
      </div>
      <Gantt
        lens={lens}
        scene={scene}
        lines={{ tree, all, look, selected, onSelect, keep }}
        onSelect={onSelect}
      />
    </>
  );
}

/** The shown stretch, read from the address and written to it once it rests. */
function useLens(): Lens {
  const [word, setWord] = useWord("range");
  const lens = useMemo(() => new Lens(), []);
  const said = useRef<string | null>(null);
  useEffect(() => {
    if (word === said.current) return;
    said.current = word;
    lens.look(readRange(word));
  }, [lens, word]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = lens.subscribe(() => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const now = written(lens.get());
        if (now === said.current) return;
        said.current = now;
        setWord(now);
      }, 400);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [lens, setWord]);
  return lens;
}

function Zoom({ lens }: { lens: Lens }): ReactNode {
  return (
    <>
      <Act name="Zoom in" sign="+" act={() => lens.zoom(0.5)} />
      <Act name="Zoom out" sign="−" act={() => lens.zoom(2)} />
    </>
  );
}

function Shift({ lens }: { lens: Lens }): ReactNode {
  const [all, setAll] = useState(lens.get() === null);
  useEffect(() => lens.subscribe(() => setAll(lens.get() === null)), [lens]);
  return (
    <>
      <Act name="Earlier" sign="◂" act={() => lens.shift(-0.25)} />
      <Act name="Later" sign="▸" act={() => lens.shift(0.25)} />
      <button type="button" className="button" disabled={all} onClick={() => lens.look(null)}>
        Whole run
      </button>
    </>
  );
}

function Act({ name, sign, act }: { name: string; sign: string; act: () => void }): ReactNode {
  return (
    <button type="button" className="button icon" aria-label={name} title={name} onClick={act}>
      {sign}
    </button>
  );
}

function Toggle({ name, on, set }: { name: string; on: boolean; set: (on: boolean) => void }): ReactNode {
  return (
    <button type="button" className="button" aria-pressed={on} onClick={() => set(!on)}>
      {name}
    </button>
  );
}

function Summary({ scene: { survey, path, now } }: { scene: Scene }): ReactNode {
  const most = useMemo(() => mostAtOnce(survey), [survey]);
  const last = survey.going ? Math.max(survey.last, now) : survey.last;
  return (
    <span className="muted">
      {most} at once at most, {duration(last - survey.first)} in all
      {path.places.length > 0 && `, ${path.places.length} on the critical path`}
    </span>
  );
}
