import { type ReactNode, useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import {
  type Log,
  type LogLine,
  type LogScope,
  type LogStore,
  type Project,
  type SearchHit,
  shownText,
} from "../../core/index.ts";
import { withQuery } from "../location.ts";
import { More } from "../More.tsx";
import { Failure } from "../parts.tsx";
import { usePreference } from "../preference.ts";
import { HubHits, toLine } from "../search/HubHits.tsx";
import { at, count } from "../time.ts";
import { grouped, type Item } from "./groups.ts";
import { LogLines } from "./LogLines.tsx";
import { atLeast, LEVELS, type Level } from "./levels.ts";
import { type Errors, type Saving, useErrors, useSaving, useShownLog, useWanted } from "./loading.ts";

const texts = new WeakMap<LogLine, string>();

/** What a search looks in: the text as it is shown, in small letters. */
function searched(line: LogLine): string {
  let text = texts.get(line);
  if (text === undefined) {
    text = shownText(line.message).toLowerCase();
    texts.set(line, text);
  }
  return text;
}

export interface Between {
  readonly from: number;
  readonly to: number;
}

export interface LogPaneProps {
  readonly project: Project;
  readonly scope: LogScope;
  /** The name of the file that it is saved as. */
  readonly name: string;
  /** The seq of a line that the address names. */
  readonly wanted: number | null;
  /** Of lines of several nodes the name of each; null: all are of one. */
  readonly nameOf: ((nodeId: string) => string) | null;
  readonly onName: (seq: number) => void;
  readonly onNode: (nodeId: string) => void;
  /** Only lines of this time, in milliseconds, up to before its end; null: all. */
  readonly between?: Between | null;
  /** What lines are shown only, where that is not said by a control. */
  readonly notice?: ReactNode;
  /** What else there is to choose. */
  readonly children?: ReactNode;
}

/** Output, live: with its colours and groups, to be searched, followed, and taken along. */
export function LogPane({
  project,
  scope,
  name,
  wanted,
  nameOf,
  onName,
  onNode,
  between = null,
  notice,
  children,
}: LogPaneProps): ReactNode {
  const { store, log } = useShownLog(project, scope);
  const [search, setSearch] = useState("");
  const [level, setLevel] = useState<Level>("all");
  const [follow, setFollow] = useState(wanted === null);
  const [wrap, setWrap] = useWrap();
  const [said, fold] = useFolded(wanted);
  const words = useDeferredValue(search.toLowerCase());
  const inTime = useBetween(log.lines, between);
  const lines = useFiltered(inTime, words, level);
  const filtered = lines !== inTime;
  const items = useMemo(
    () => (filtered ? lines.map(asItem) : grouped(lines, said, wanted)),
    [filtered, lines, said, wanted],
  );
  const missing = useWanted(store, log, wanted);
  const first = log.lines[0]?.seq ?? 0;
  const elsewhere = useCallback(
    (hit: SearchHit) => hit.seq < first && (typeof scope !== "function" || scope(hit.node_id)),
    [first, scope],
  );
  const jump = (seq: number) => {
    setFollow(false);
    onName(seq);
  };
  const errors = useErrors(store, log, lines, wanted, jump);
  const saving = useSaving(project, scope, `${name}.log`, nameOf !== null);
  return (
    <>
      <LogTools {...{ search, setSearch, level, setLevel, follow, setFollow, wrap, setWrap, errors, saving }}>
        {children}
      </LogTools>
      {notice}
      {saving.error !== null && <Failure error={saving.error} again={saving.save} />}
      {missing && (
        <p className="notice c-review">
          Line {wanted} is not here: it is of another node, was deleted, or is further back.
        </p>
      )}
      {log.more && (
        <HubHits
          projectId={project.id}
          words={words}
          kind="log"
          node={typeof scope === "string" ? scope : null}
          keep={elsewhere}
          nameOf={nameOf ?? asIs}
          leadsTo={({ seq }) => withQuery(toLine(seq, first))}
        />
      )}
      <Further {...{ store, log, filtered }} />
      {items.length === 0 ? (
        <p className="muted">{nothing(log, filtered)}</p>
      ) : (
        <LogLines
          {...{ items, words, wrap, follow, wanted, nameOf, onNode }}
          onLeave={() => setFollow(false)}
          onName={jump}
          onFold={fold}
        />
      )}
    </>
  );
}

interface LogToolsProps {
  readonly search: string;
  readonly setSearch: (search: string) => void;
  readonly level: Level;
  readonly setLevel: (level: Level) => void;
  readonly follow: boolean;
  readonly setFollow: (follow: boolean) => void;
  readonly wrap: boolean;
  readonly setWrap: (wrap: boolean) => void;
  readonly errors: Errors;
  readonly saving: Saving;
  readonly children: ReactNode;
}

function LogTools(props: LogToolsProps): ReactNode {
  const { search, setSearch, level, setLevel, follow, setFollow, wrap, setWrap, errors, saving } = props;
  return (
    <div className="row wrap log-tools">
      <input
        className="input grow"
        type="search"
        placeholder="Search the log"
        aria-label="Search the log"
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
      <button type="button" className="button" aria-pressed={follow} onClick={() => setFollow(!follow)}>
        Follow the end
      </button>
      <button type="button" className="button" disabled={errors.seeking} onClick={errors.first}>
        {errors.seeking ? "Looking back …" : "First error"}
      </button>
      <button type="button" className="button" disabled={errors.count === 0} onClick={errors.next}>
        Next error
      </button>
      <More label="The log" on={level === "all" ? 0 : 1}>
        <LevelField level={level} setLevel={setLevel} />
        <button type="button" className="button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          Wrap
        </button>
        <button type="button" className="button" onClick={saving.save} disabled={saving.lines !== null}>
          {saving.lines === null ? "Download" : `${count(saving.lines)} lines …`}
        </button>
        {props.children}
      </More>
    </div>
  );
}

const asIs = (nodeId: string) => nodeId;

const asItem = (line: LogLine): Item => ({ kind: "text", line, rows: null });

/** Which groups the person opened or closed. A line that is wanted later opens its group again. */
function useFolded(
  wanted: number | null,
): [ReadonlyMap<string, boolean>, (key: string, open: boolean) => void] {
  const [said, setSaid] = useState<ReadonlyMap<string, boolean>>(new Map());
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another line opens what was closed
  useEffect(() => setSaid((all) => new Map([...all].filter(([, open]) => open))), [wanted]);
  return [said, (key, open) => setSaid((all) => new Map(all).set(key, open))];
}

function useWrap(): [boolean, (wrap: boolean) => void] {
  const [wrap, setWrap] = usePreference("log.wrap", "yes");
  return [wrap === "yes", (next) => setWrap(next ? "yes" : "no")];
}

function useBetween(lines: readonly LogLine[], between: Between | null): readonly LogLine[] {
  return useMemo(() => {
    if (between === null) return lines;
    const { from, to } = between;
    return lines.filter(({ timestamp }) => {
      const when = at(timestamp);
      return when >= from && when < to;
    });
  }, [lines, between]);
}

function useFiltered(lines: readonly LogLine[], words: string, level: Level): readonly LogLine[] {
  return useMemo(() => {
    if (words === "" && level === "all") return lines;
    return lines.filter(
      (one) => atLeast(one.level, level) && (words === "" || searched(one).includes(words)),
    );
  }, [lines, words, level]);
}

function nothing(log: Log, filtered: boolean): string {
  if (log.loading) return "Loading …";
  if (filtered) return "No line matches.";
  return log.more ? "None of the newest lines of the project is of these nodes." : "No output yet.";
}

function LevelField({ level, setLevel }: { level: Level; setLevel: (level: Level) => void }): ReactNode {
  return (
    <select
      className="input"
      aria-label="Levels"
      value={level}
      onChange={({ target }) => setLevel(target.value as Level)}
    >
      {LEVELS.map((one) => (
        <option key={one} value={one}>
          {one === "all" ? "all levels" : one === "error" ? "errors" : `${one} and worse`}
        </option>
      ))}
    </select>
  );
}

interface FurtherProps {
  readonly store: LogStore;
  readonly log: Log;
  readonly filtered: boolean;
}

/** What is not shown, and how to get it. */
function Further({ store, log, filtered }: FurtherProps): ReactNode {
  return (
    <>
      {log.error !== null && <Failure error={log.error} again={() => void store.older()} />}
      {log.skipped > 0 && (
        <div className="notice c-review row">
          <span className="grow">{count(log.skipped)} lines were skipped to keep up.</span>
          <button type="button" className="button" onClick={() => void store.refill()}>
            Load them
          </button>
        </div>
      )}
      {log.more && (
        <button type="button" className="button" disabled={log.loading} onClick={() => void store.older()}>
          {filtered
            ? `Search before the ${count(log.lines.length)} lines that were searched`
            : "Earlier lines"}
        </button>
      )}
    </>
  );
}
