import { lazy, type ReactNode, Suspense } from "react";
import type { Project, Travel } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import { More } from "../../ui/More.tsx";
import { count, hubNow } from "../../ui/time.ts";
import { Controls } from "./Controls.tsx";
import { useTimes } from "./useTimes.ts";
import { NOWHERE, positionAt } from "./useTravel.ts";
import "./travel.css";

const Since = lazy(() => import("./Since.tsx"));

interface ScrubberProps {
  readonly project: Project;
  readonly travel: Travel | null;
}

const HOUR = 3_600_000;
const to = (seq: number) => go(withQuery({ at: String(seq) }));

/** The run from its beginning to now: any position, and playing from there. */
export function Scrubber({ project, travel }: ScrubberProps): ReactNode {
  const now = useReadable(travel ?? NOWHERE);
  if (now === null || travel === null) return <Present project={project} />;
  return <Controls project={project} travel={travel} now={now} />;
}

function Present({ project }: { project: Project }): ReactNode {
  const { query } = usePlace();
  const at = query.get("at");
  const since = query.get("since");
  const times = useTimes(project, to);
  return (
    <div className="scrubber">
      <button type="button" className="button" onClick={() => to(project.tree.position?.seq ?? 0)}>
        Time travel
      </button>
      <More label="Another time">
        <button
          type="button"
          className="button"
          disabled={times.looking}
          onClick={() => times.find(hubNow() - HOUR)}
        >
          1 h ago
        </button>
        <button type="button" className="button" onClick={() => go(withQuery({ since: "" }))}>
          Changes since …
        </button>
      </More>
      <span className="muted ellipsis grow">
        <Position project={project} />
        {at !== null && positionAt(at) === null && `. The address names no event: at=“${at.slice(0, 40)}”`}
        {times.error !== null && `. ${times.error.message}`}
      </span>
      {since !== null && (
        <Suspense>
          <Since project={project} since={positionAt(since)} />
        </Suspense>
      )}
    </div>
  );
}

function Position({ project }: { project: Project }): ReactNode {
  const seq = useReadable({
    subscribe: project.tree.subscribe,
    get: () => project.tree.get().position?.seq ?? 0,
  });
  return <>now, after {count(seq)} events</>;
}
