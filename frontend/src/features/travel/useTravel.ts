/** Where the page is in time: the address says it, and follows it. */
import { useEffect, useMemo, useRef, useState } from "react";
import { Cell, type Project, type Travel, type Travelling } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import type { Past } from "../../ui/past.ts";
import { at as timeAt } from "../../ui/time.ts";

export const NOWHERE = new Cell<Travelling | null>(null);

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
export function useAddress(travel: Travel, at: number): void {
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
