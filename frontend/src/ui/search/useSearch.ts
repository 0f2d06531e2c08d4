/** What the hub finds: asked a moment after the last change, a page at a time. The hub stops when the page leaves. */
import { useEffect, useState } from "react";
import { HubError, type SearchAnswer, type SearchHit, type SearchQuery } from "../../core/index.ts";

export interface HubSearch<P extends SearchAnswer> {
  /** The first page; its `next` is that of the newest. Null: none has come yet. */
  readonly page: P | null;
  readonly hits: readonly SearchHit[];
  readonly loading: boolean;
  readonly error: HubError | null;
  /** Load the hits that follow; null: there are none. */
  readonly more: (() => void) | null;
}

type Asked = Omit<SearchQuery, "after" | "limit">;
type State<P extends SearchAnswer> = Omit<HubSearch<P>, "more">;

const LETTER = /[\p{L}\p{N}]/u;
const LONGEST = 400;
const PAUSE = 250;
/** Milliseconds after which a hub is asked again whose index lacks the newest events. */
const AGAIN = 1_000;
const NOTHING = { page: null, hits: [], loading: false, error: null };

/** Whether the hub can look for these words. */
export function isAsked(words: string): boolean {
  return LETTER.test(words) && words.length <= LONGEST;
}

/** Whether the index lacks events of what was searched. */
function isBehind(page: SearchAnswer & { indexed_up_to?: number; head?: number; behind?: number }): boolean {
  const { indexed_up_to: upTo = 0, head = 0, behind = head - upTo } = page;
  return page.index && behind > 0;
}

/**
 * The hits of a search. Its first page is asked for again until the hub's index has all events.
 *
 * @param ask - gives a page; the same function for as long as the same is searched.
 * @param asked - null: nothing is asked.
 */
export function useHubSearch<P extends SearchAnswer>(
  ask: (query: SearchQuery, signal: AbortSignal) => Promise<P>,
  asked: Asked | null,
): HubSearch<P> {
  const [found, setFound] = useState<State<P>>(NOTHING);
  const [after, setAfter] = useState<string | undefined>(undefined);
  const key = asked === null ? "" : JSON.stringify(asked);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other words begin at the first page
  useEffect(() => {
    setFound(NOTHING);
    setAfter(undefined);
  }, [ask, key]);
  useEffect(() => {
    if (key === "") return;
    const stop = new AbortController();
    let timer = setTimeout(() => void load(), after === undefined ? PAUSE : 0);
    const load = async () => {
      setFound((before) => ({ ...before, loading: true, error: null }));
      try {
        const page = await ask({ ...JSON.parse(key), after }, stop.signal);
        const first = after === undefined;
        if (first && isBehind(page)) timer = setTimeout(() => void load(), AGAIN);
        setFound((before) => ({
          page: first || before.page === null ? page : { ...before.page, next: page.next },
          hits: first ? page.hits : [...before.hits, ...page.hits],
          loading: false,
          error: null,
        }));
      } catch (reason) {
        if (stop.signal.aborted) return;
        const error = reason instanceof HubError ? reason : new HubError("internal", String(reason));
        setFound((before) => ({ ...before, loading: false, error }));
      }
    };
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [ask, key, after]);
  const next = found.page?.next ?? null;
  return { ...found, more: next === null || found.loading ? null : () => setAfter(next) };
}
