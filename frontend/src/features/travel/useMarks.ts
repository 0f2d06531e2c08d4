import { useEffect, useMemo, useState } from "react";
import type { Project, StoredEvent } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { type Mark, markOf } from "./marks.ts";

/** So many of the newest events are looked through. */
const LOOKED_AT = 5_000;
const PAGE = 1_000;

const marksOf = (events: readonly StoredEvent[]) => events.map(markOf).filter((one) => one !== null);

/** The marks of a project's newest events, and of those that come. */
export function useMarks(project: Project): readonly Mark[] {
  const { http } = useHub();
  const [loaded, setLoaded] = useState<readonly Mark[]>([]);
  const live = useReadable(project.events);
  useEffect(() => {
    const stop = new AbortController();
    const load = async () => {
      let all: readonly Mark[] = [];
      let before: string | null = "end";
      for (let looked = 0; before !== null && looked < LOOKED_AT; looked += PAGE) {
        const page: { events: readonly StoredEvent[]; next: string | null } = await http.events(
          project.id,
          { before, limit: PAGE },
          stop.signal,
        );
        all = [...marksOf(page.events), ...all];
        before = page.next;
        setLoaded(all);
      }
    };
    // What cannot be read has no marks.
    load().catch(() => {});
    return () => stop.abort();
  }, [http, project]);
  return useMemo(() => {
    const known = new Set(loaded.map((one) => one.seq));
    return [...loaded, ...marksOf(live).filter((one) => !known.has(one.seq))];
  }, [loaded, live]);
}
