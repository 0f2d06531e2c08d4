import { type ReactNode, useEffect, useMemo } from "react";
import {
  type Fields,
  type LogLine,
  type Project,
  shownText,
  type TreeStore,
  text,
  time,
} from "../../core/index.ts";
import { begunBelow } from "../../ui/failures.ts";
import { Link } from "../../ui/link.tsx";
import { withQuery } from "../../ui/location.ts";
import { pieces } from "../../ui/log/ansi.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { message, title } from "../../ui/nodes.ts";
import { Mark } from "../../ui/parts.tsx";
import { usePast } from "../../ui/past.ts";
import { at, clock, count } from "../../ui/time.ts";
import { useFirstError } from "./firstError.ts";
import { isTraceback, traceback } from "./traceback.ts";
import "./failure.css";

interface FailureProps {
  readonly project: Project;
  readonly nodeId: string;
  readonly fields: Fields;
  /** Given the seq of the line where its log first tells of a fault. */
  readonly onFault: (seq: number) => void;
}

/** Fields that a traceback may stand in, when the log has none. */
const TRACES = ["traceback", "stacktrace", "stack", "error"];

/** Why a node failed: its message, its traceback, and its log around the first fault. */
export function Failure({ project, nodeId, fields, onFault }: FailureProps): ReactNode {
  const past = usePast();
  const end = `${fields.ended_at} ${fields.attempt}`;
  const found = useFirstError(project, nodeId, time(fields, "started_at"), end, past?.at);
  const fault = found?.fault ?? null;
  useEffect(() => {
    if (fault !== null) onFault(fault);
  }, [fault, onFault]);
  const said = message(fields);
  const trace = TRACES.map((name) => text(fields, name)).find((one) => one !== undefined && isTraceback(one));
  return (
    <section className="stack failure" aria-label="Why it failed">
      {said !== undefined && (isTraceback(said) ? <Trace text={said} /> : <Said words={said} />)}
      {trace !== undefined && <Trace text={shownText(trace)} />}
      {found != null && (
        <>
          <div className="row wrap">
            <h3 className="grow">
              {found.fault === null ? "The end of its log" : "Its log at the first error"}
            </h3>
            <Link href={withQuery({ tab: "log", line: found.fault === null ? null : String(found.fault) })}>
              Open the log there
            </Link>
          </div>
          <ol className="failure-log">
            {found.lines.map((line) => (
              <Line key={`${line.epoch}:${line.seq}`} line={line} first={line.seq === found.fault} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Said({ words }: { words: string }): ReactNode {
  return <bdi className="notice node-message c-failed">{words}</bdi>;
}

function Line({ line, first }: { line: LogLine; first: boolean }): ReactNode {
  const plain = useMemo(() => shownText(line.message), [line.message]);
  return (
    <li className={`log-text ${line.level}`} {...(first ? { "aria-current": "true" as const } : {})}>
      <time>{clock(at(line.timestamp))}</time>
      {isTraceback(plain) ? (
        <Trace text={plain} />
      ) : (
        <span>
          {pieces(line.message).map((piece, n) => (
            <span key={n} className={piece.classes}>
              {piece.text}
            </span>
          ))}
        </span>
      )}
    </li>
  );
}

/** A traceback with the frames of libraries folded. */
function Trace({ text: whole }: { text: string }): ReactNode {
  const parts = useMemo(() => traceback(whole), [whole]);
  return (
    <div className="trace">
      {parts.map(({ kind, lines, frames, names }, n) =>
        kind === "foreign" ? (
          <details key={n}>
            <summary>
              {frames} {frames === 1 ? "frame" : "frames"} of {names.slice(0, 3).join(", ")}
              {names.length > 3 && " …"}
            </summary>
            <pre>{lines.join("\n")}</pre>
          </details>
        ) : (
          <pre key={n} className={kind}>
            {lines.join("\n")}
          </pre>
        ),
      )}
    </div>
  );
}

const SHOWN = 12;

interface FailedBelowProps {
  readonly tree: TreeStore;
  readonly nodeId: string;
  readonly onSelect: (id: string) => void;
}

/** Where the failures below a node began, the first one first. */
export function FailedBelow({ tree, nodeId, onSelect }: FailedBelowProps): ReactNode {
  const snapshot = useSnapshot(tree, 1000);
  const all = useMemo(() => begunBelow(snapshot, nodeId), [snapshot, nodeId]);
  if (all.length === 0) return null;
  return (
    <section className="stack" aria-label="Failed below it">
      <h3>
        {count(all.length)} failed below it{all.length > SHOWN && `, the first ${SHOWN}`}
      </h3>
      <ul className="failed-list">
        {all.slice(0, SHOWN).map(({ id, fields, at: when }) => (
          <li key={id}>
            <button type="button" className="button plain" onClick={() => onSelect(id)}>
              <Mark status="failed" />
              <bdi className="ellipsis">{title(id, fields)}</bdi>
            </button>
            <bdi className="muted ellipsis grow">{message(fields)}</bdi>
            <time className="muted">{Number.isFinite(when) ? clock(when) : ""}</time>
          </li>
        ))}
      </ul>
    </section>
  );
}
