/** What the hub finds in all of a project's log: asked a moment after the last change, a page at a time. */
import { useEffect, useState } from "react";
import { HubError, type SearchHit, type SearchPage, type SearchQuery } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";

export interface HubSearch {
  /** The newest page's; null: none has come yet. */
  readonly page: SearchPage | null;
  readonly hits: readonly SearchHit[];
  readonly loading: boolean;
  readonly error: HubError | null;
  /** Load the hits that follow; null: there are none. */
  readonly more: (() => void) | null;
}

type Asked = Omit<SearchQuery, "after" | "limit">;

const PAUSE = 250;
const NOTHING: Pick<HubSearch, "page" | "hits" | "loading" | "error"> = {
  page: null,
  hits: [],
  loading: false,
  error: null,
};

/** Null: nothing is asked. */
export function useHubSearch(projectId: string, asked: Asked | null): HubSearch {
  const { http } = useHub();
  const [found, setFound] = useState(NOTHING);
  const [after, setAfter] = useState<string | undefined>(undefined);
  const key = asked === null ? "" : JSON.stringify(asked);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other words begin at the first page
  useEffect(() => {
    setFound(NOTHING);
    setAfter(undefined);
  }, [projectId, key]);
  useEffect(() => {
    if (key === "") return;
    const stop = new AbortController();
    const ask = async () => {
      setFound((before) => ({ ...before, loading: true, error: null }));
      try {
        const page = await http.search(projectId, { ...JSON.parse(key), after }, stop.signal);
        setFound((before) => ({
          page: before.page === null ? page : { ...before.page, next: page.next },
          hits: after === undefined ? page.hits : [...before.hits, ...page.hits],
          loading: false,
          error: null,
        }));
      } catch (reason) {
        if (stop.signal.aborted) return;
        const error = reason instanceof HubError ? reason : new HubError("internal", String(reason));
        setFound((before) => ({ ...before, loading: false, error }));
      }
    };
    const timer = setTimeout(() => void ask(), after === undefined ? PAUSE : 0);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [http, projectId, key, after]);
  const next = found.page?.next ?? null;
  return { ...found, more: next === null || found.loading ? null : () => setAfter(next) };
}
