import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { Cell, type Project, type Travel, type Travelling } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import type { Past } from "../../ui/past.ts";
import { count, full, at as timeAt } from "../../ui/time.ts";
import "./travel.css";

const SPEEDS = [1, 2, 5, 10, 50, 100] as const;
const NOWHERE = new Cell<Travelling | null>(null);

/** The event that `?at=` names; null if it names none. */
export function positionAt(at: string | null): number | null {
  return at !== null && /^\d{1,15}$/.test(at) ? Number(at) : null;
}

/** Where the page is in time, as the address says: a pasted link, Back and Forward lead there too. */
export function useTravel(project: Project, ready: boolean): Travel | null {
  const hub = useHub();
  const at = positionAt(usePlace().query.get("at"));
  const [travel, setTravel] = useState<Travel | null>(null);
  const away = ready && at !== null;
  const wanted = useRef(at);
  wanted.current = at;
  useEffect(() => {
    if (!away) return;
    const begun = hub.travel(project);
    seek(begun, wanted.current ?? begun.get().head);
    setTravel(begun);
    const end = project.tree.subscribe(() => begun.grown(project.tree.get().position?.seq ?? 0));
    return () => {
      end();
      begun.close();
      setTravel(null);
    };
  }, [hub, project, away]);
  useEffect(() => {
    // What the scrubber wrote into the address is where the travel is, or was a moment ago.
    if (travel !== null && at !== null && written.get(travel) !== at) seek(travel, at);
  }, [travel, at]);
  return travel;
}

/** The position that each travel wrote into the address last. */
const written = new WeakMap<Travel, number>();

function seek(travel: Travel, seq: number): void {
  written.set(travel, seq);
  void travel.seek(seq);
}

/** What all that shows something of the project goes by. */
export function usePosition(travel: Travel | null): Past | null {
  const now = useReadable(travel ?? NOWHERE);
  return useMemo(() => {
    if (now === null || travel === null) return null;
    const { epoch, at, from, time } = now;
    return { epoch, at, from, time: time === null ? Number.NaN : timeAt(time), events: travel.events };
  }, [travel, now]);
}

const OFTEN = 400;

/** The address follows the position; not at each event, or browsers complain. */
function useAddress(travel: Travel, at: number): void {
  const last = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    const write = () => {
      last.current = performance.now();
      written.set(travel, at);
      if (positionAt(new URLSearchParams(window.location.search).get("at")) !== null)
        go(withQuery({ at: String(at) }), true);
    };
    const timer = setTimeout(write, Math.max(0, last.current + OFTEN - performance.now()));
    return () => clearTimeout(timer);
  }, [travel, at]);
}

interface ScrubberProps {
  readonly project: Project;
  readonly travel: Travel | null;
}

const begin = (project: Project) => go(withQuery({ at: String(project.tree.get().position?.seq ?? 0) }));
const end = () => go(withQuery({ at: null }));

/** The run from its beginning to now: any position, and playing from there. */
export function Scrubber({ project, travel }: ScrubberProps): ReactNode {
  const now = useReadable(travel ?? NOWHERE);
  const at = usePlace().query.get("at");
  if (now === null || travel === null) {
    return (
      <div className="scrubber">
        <button type="button" className="button" onClick={() => begin(project)}>
          Time travel
        </button>
        <span className="muted ellipsis grow">
          <Position project={project} />
          {at !== null && positionAt(at) === null && `. The address names no event: at=“${at.slice(0, 40)}”`}
        </span>
      </div>
    );
  }
  return <Controls travel={travel} now={now} />;
}

function Position({ project }: { project: Project }): ReactNode {
  const seq = useReadable({
    subscribe: project.tree.subscribe,
    get: () => project.tree.get().position?.seq ?? 0,
  });
  return <>now, after {count(seq)} events</>;
}

function Controls({ travel, now }: { travel: Travel; now: Travelling }): ReactNode {
  useAddress(travel, now.at);
  return (
    <section className="scrubber past" aria-label="Time travel">
      <button
        type="button"
        className="button icon"
        aria-label="One event back"
        onClick={() => void travel.step(-1)}
      >
        ◂
      </button>
      {now.speed > 0 ? (
        <button type="button" className="button icon" onClick={() => travel.play(0)}>
          Pause
        </button>
      ) : (
        <button
          type="button"
          className="button icon"
          disabled={now.at >= now.head}
          onClick={() => travel.play(10)}
        >
          Play
        </button>
      )}
      <button
        type="button"
        className="button icon"
        aria-label="One event on"
        onClick={() => void travel.step(1)}
      >
        ▸
      </button>
      <select
        className="input"
        aria-label="Speed"
        value={now.speed || 10}
        onChange={(event) => travel.play(Number(event.target.value))}
      >
        {SPEEDS.map((one) => (
          <option key={one} value={one}>
            {one}×
          </option>
        ))}
      </select>
      <input
        type="range"
        min={now.oldest}
        max={now.head}
        value={now.at}
        aria-label="Position"
        aria-valuetext={`event ${now.at} of ${now.head}`}
        onChange={(event) => void travel.seek(Number(event.target.value))}
      />
      <output>
        {count(now.at)} / {count(now.head)}
        {now.time !== null && <span className="muted"> · {full(timeAt(now.time))}</span>}
        {now.error !== null && <span> · {now.error.message}</span>}
      </output>
      <button type="button" className="button primary" onClick={end}>
        Back to now
      </button>
    </section>
  );
}
