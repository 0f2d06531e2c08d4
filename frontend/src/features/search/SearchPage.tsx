import { type ReactNode, useCallback, useMemo } from "react";
import type { ProjectRow, SearchHit, SearchOfAll, SearchQuery } from "../../core/index.ts";
import { useProjects } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { useSearchKey } from "../../ui/keys.ts";
import { Link } from "../../ui/link.tsx";
import { projectAddress } from "../../ui/location.ts";
import { Badge, Failure } from "../../ui/parts.tsx";
import { stateOf, titleOf } from "../../ui/projects.ts";
import { Hits } from "../../ui/search/Hits.tsx";
import { isAsked, useHubSearch } from "../../ui/search/useSearch.ts";
import { count } from "../../ui/time.ts";
import { useWord } from "../../ui/words.ts";
import { byProject, momentOf } from "./hits.ts";
import "./page.css";

const KINDS = { log: "output", node: "changes of nodes", event: "other events" } as const;
const LEVELS = { "error,critical,fatal": "errors", "warning,warn": "warnings" } as const;

/** Events and output of all projects whose history the viewer may read. */
export default function SearchPage(): ReactNode {
  const { http } = useHub();
  const field = useSearchKey();
  const [words, setWords] = useWord("q");
  const [kind, setKind] = useWord("kind");
  const [level, setLevel] = useWord("level");
  const q = words.trim();
  const asked = isAsked(q);
  const ask = useCallback((query: SearchQuery, signal: AbortSignal) => http.searchAll(query, signal), [http]);
  const wanted = { q, ...(kind in KINDS && { kind: kind as keyof typeof KINDS }), ...(level && { level }) };
  const found = useHubSearch(ask, asked ? wanted : null);
  return (
    <div className="page search-page">
      <h1>Search</h1>
      <div className="row wrap" role="search">
        <input
          className="input grow search-words"
          type="search"
          ref={field}
          // biome-ignore lint/a11y/noAutofocus: the page is nothing but this field
          autoFocus={words === ""}
          placeholder="timeout &quot;connection refused&quot; retr*"
          aria-label="Search all projects"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <Choice label="Kind" any="everything" all={KINDS} value={kind} onChange={setKind} />
        <Choice label="Level" any="any level" all={LEVELS} value={level} onChange={setLevel} />
      </div>
      <p className="muted" role="status">
        {asked ? said(found.page, found.loading, found.error !== null) : HOW}
      </p>
      {found.error !== null && <Failure error={found.error} />}
      <Projects hits={found.hits} />
      {found.more !== null && (
        <button type="button" className="button search-more" onClick={found.more}>
          More
        </button>
      )}
    </div>
  );
}

const HOW =
  'Words that all occur, in any order; "a phrase"; a prefix*. Searched are the output and all events of every project that you may read.';

interface ChoiceProps {
  readonly label: string;
  /** What stands for no choice. */
  readonly any: string;
  readonly all: Readonly<Record<string, string>>;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Choice({ label, any, all, value, onChange }: ChoiceProps): ReactNode {
  return (
    <select
      className="input"
      aria-label={label}
      value={value in all ? value : ""}
      onChange={(event) => onChange(event.target.value)}
    >
      <option value="">{any}</option>
      {Object.entries(all).map(([one, name]) => (
        <option key={one} value={one}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** The hits under the project that they are of. */
function Projects({ hits }: { hits: readonly SearchHit[] }): ReactNode {
  const { byId } = useProjects();
  const groups = useMemo(() => byProject(hits), [hits]);
  return [...groups].map(([id, own]) => (
    <section key={id} className="card search-project" aria-label={name(id, byId)}>
      <div className="row wrap">
        <h2 className="ellipsis">
          <Link href={projectAddress(id)}>
            <bdi>{name(id, byId)}</bdi>
          </Link>
        </h2>
        <State row={byId.get(id)} />
      </div>
      <Hits hits={own} nameOf={asIs} leadsTo={momentOf} />
    </section>
  ));
}

function name(id: string, rows: ReadonlyMap<string, ProjectRow>): string {
  const row = rows.get(id);
  return row === undefined ? id : titleOf(row);
}

function State({ row }: { row: ProjectRow | undefined }): ReactNode {
  const state = row === undefined ? null : stateOf(row);
  return state === null ? null : <Badge status={state} />;
}

const asIs = (id: string) => id;

/** How many there are, and how far the hub looked. */
function said(page: SearchOfAll | null, loading: boolean, failed: boolean): string {
  if (failed) return "";
  if (page === null) return "Searching …";
  const amount = `${page.exact || page.count === 0 ? "" : "at least "}${count(page.count)} ${page.count === 1 ? "event" : "events"}`;
  const looked = page.index ? "" : "; this hub keeps no index and read the newest events only";
  const behind = page.behind > 0 ? `; ${count(page.behind)} events are not in the index yet` : "";
  return `${amount}${looked}${behind}${loading ? " …" : ""}`;
}
