import { type ReactNode, useCallback, useState } from "react";
import type { HubError, SearchHit, SearchPage, SearchQuery } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Link } from "../link.tsx";
import { withQuery } from "../location.ts";
import { Failure } from "../parts.tsx";
import { useBranch, useShared } from "../shared.ts";
import { count } from "../time.ts";
import { Hits } from "./Hits.tsx";
import { isAsked, useHubSearch } from "./useSearch.ts";

interface HubHitsProps {
  readonly projectId: string;
  readonly words: string;
  readonly kind?: SearchQuery["kind"];
  readonly node?: string | null;
  /** Hits that are not shown: what is below another node, say. */
  readonly keep?: (hit: SearchHit) => boolean;
  readonly nameOf: (nodeId: string) => string;
  /** The address that a hit leads to. */
  readonly leadsTo?: (hit: SearchHit) => string;
}

/** What the hub finds in the whole log, beside what the page has loaded. */
export function HubHits({ projectId, words, kind, node, keep, nameOf, leadsTo }: HubHitsProps): ReactNode {
  const { http } = useHub();
  const shared = useShared();
  const branch = useBranch();
  const q = words.trim();
  const [open, setOpen] = useState(true);
  const asked = isAsked(q) && branch === null; // nothing is found for the link of a branch
  const ask = useCallback(
    (query: SearchQuery, signal: AbortSignal) => http.search(projectId, query, signal),
    [http, projectId],
  );
  const found = useHubSearch(ask, asked ? { q, ...(kind ? { kind } : {}), ...(node ? { node } : {}) } : null);
  if (!asked) return null;
  const hits = keep === undefined ? found.hits : found.hits.filter(keep);
  return (
    <section className="hub-hits" aria-label="In the whole log">
      <div className="row wrap">
        <button type="button" className="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          In the whole log
        </button>
        <span className="muted grow" role="status">
          {said(found.page, found.error)}
        </span>
        {open && found.more !== null && (
          <button type="button" className="button" onClick={found.more}>
            More
          </button>
        )}
        {!shared && (
          <Link href={`/search?${new URLSearchParams({ q })}`} className="button">
            In all projects
          </Link>
        )}
      </div>
      {found.error !== null && <Failure error={found.error} />}
      {open && <Hits hits={hits} nameOf={nameOf} leadsTo={leadsTo ?? toMoment} />}
    </section>
  );
}

/** To the moment at which it happened; of output, to its line in the node's log. */
function toMoment({ kind, node_id, seq }: SearchHit): string {
  const line = kind === "log" && node_id !== null;
  return withQuery({
    node: node_id,
    attempt: null,
    tab: line ? "log" : null,
    line: line ? String(seq) : null,
    at: String(seq),
  });
}

const FURTHEST = 20_000;

/** Words of the address that lead to a line of the log that is shown, which begins at `first`. A line that is too far
 * back to be loaded is shown in the log as it was then. */
export function toLine(seq: number, first: number): Record<string, string> {
  return first - seq > FURTHEST ? { line: String(seq), at: String(seq) } : { line: String(seq) };
}

/** How many there are, and how far the hub looked. */
function said(page: SearchPage | null, error: HubError | null): string {
  if (error !== null) return "";
  if (page === null) return "Searching …";
  const { count: found, exact, head, indexed_up_to: upTo, searched_from: from, index } = page;
  const amount = `${exact || found === 0 ? "" : "at least "}${count(found)} ${found === 1 ? "event" : "events"}`;
  if (!index && from > 0) return `${amount} in those after ${count(from)}: this hub keeps no index`;
  return upTo < head ? `${amount}; indexed up to ${count(upTo)} of ${count(head)}` : amount;
}
