import { type ReactNode, useEffect } from "react";
import { Cell, type Project, type Travel, type Travelling } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import { count, full, at as timeAt } from "../../ui/time.ts";
import "./travel.css";

const SPEEDS = [1, 2, 5, 10, 50, 100] as const;
const NOWHERE = new Cell<Travelling | null>(null);

/** The event that `?at=` names; null if it names none. */
export function positionAt(at: string | null): number | null {
  return at !== null && /^\d{1,15}$/.test(at) ? Number(at) : null;
}

/** A pasted link leads to the position that it names. */
export function useTravel(
  project: Project,
  travel: Travel | null,
  at: string | null,
  begin: () => void,
): void {
  useEffect(() => {
    if (positionAt(at) === null || travel !== null) return;
    begin();
  }, [at, travel, begin]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only at the beginning of a travel; then the scrubber leads
  useEffect(() => {
    if (travel === null) return;
    void travel.seek(positionAt(at) ?? travel.get().head);
  }, [travel]);
  useEffect(() => {
    if (travel === null) return;
    const grown = () => travel.grown(project.tree.get().position?.seq ?? 0);
    return project.tree.subscribe(grown);
  }, [project, travel]);
  useEffect(() => () => travel?.close(), [travel]);
}

interface ScrubberProps {
  readonly project: Project;
  readonly travel: Travel | null;
  readonly onBegin: () => void;
  readonly onEnd: () => void;
}

/** The run from its beginning to now: any position, and playing from there. */
export function Scrubber({ project, travel, onBegin, onEnd }: ScrubberProps): ReactNode {
  const now = useReadable(travel ?? NOWHERE);
  const at = usePlace().query.get("at");
  if (now === null || travel === null) {
    return (
      <div className="scrubber">
        <button type="button" className="button" onClick={onBegin}>
          Time travel
        </button>
        <span className="muted ellipsis grow">
          <Position project={project} />
          {at !== null && positionAt(at) === null && `. The address names no event: at=“${at.slice(0, 40)}”`}
        </span>
      </div>
    );
  }
  return <Controls travel={travel} now={now} onEnd={onEnd} />;
}

function Position({ project }: { project: Project }): ReactNode {
  const seq = useReadable({
    subscribe: project.tree.subscribe,
    get: () => project.tree.get().position?.seq ?? 0,
  });
  return <>now, after {count(seq)} events</>;
}

function Controls({ travel, now, onEnd }: { travel: Travel; now: Travelling; onEnd: () => void }): ReactNode {
  const seek = (seq: number) => {
    void travel.seek(seq);
    go(withQuery({ at: String(seq) }), true);
  };
  return (
    <section className="scrubber past" aria-label="Time travel">
      <button
        type="button"
        className="button icon"
        aria-label="One event back"
        onClick={() => seek(now.at - 1)}
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
        onClick={() => seek(now.at + 1)}
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
        onChange={(event) => seek(Number(event.target.value))}
      />
      <output>
        {count(now.at)} / {count(now.head)}
        {now.time !== null && <span className="muted"> · {full(timeAt(now.time))}</span>}
        {now.error !== null && <span> · {now.error.message}</span>}
      </output>
      <button type="button" className="button primary" onClick={onEnd}>
        Back to now
      </button>
    </section>
  );
}
