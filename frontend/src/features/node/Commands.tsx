import { type ReactNode, useEffect, useState } from "react";
import {
  type CommandRecord,
  classOf,
  type Fields,
  type Project,
  type StatusClass,
  shownText,
} from "../../core/index.ts";
import { useCommand, useReadable } from "../../react/hooks.ts";
import { AskFirst } from "../../ui/AskFirst.tsx";
import { at, clock } from "../../ui/time.ts";

const TONES: Record<CommandRecord["status"], string> = {
  sent: "waiting",
  accepted: "running",
  done: "done",
  refused: "failed",
  timeout: "failed",
};

const UNDER_WAY = ["cancel", "pause", "resume"];
const NAMES: Record<StatusClass, readonly string[]> = {
  waiting: ["cancel"],
  running: UNDER_WAY,
  review: UNDER_WAY,
  failed: ["retry"],
  cancelled: ["retry"],
  done: [],
};

interface NamedProps {
  readonly name: string;
  readonly disabled: boolean;
  readonly onSend: () => void;
}

function Named({ name, disabled, onSend }: NamedProps): ReactNode {
  const label = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  if (name === "cancel") {
    return (
      <AskFirst
        key={name}
        name={label}
        question="Cancel it?"
        className="button danger"
        disabled={disabled}
        onYes={onSend}
      />
    );
  }
  return (
    <button type="button" className="button" disabled={disabled} onClick={onSend}>
      {label}
    </button>
  );
}

/** Tell the orchestrator what to do with a node, and see what becomes of it. */
export function Commands({
  project,
  nodeId,
  fields,
}: {
  project: Project;
  nodeId: string;
  fields: Fields | undefined;
}): ReactNode {
  const { send, sending, error } = useCommand(project.id);
  const all = useReadable(project.commands);
  const [other, setOther] = useState("");
  const [deaf, setDeaf] = useState(false);
  const refused = error?.code === "no_orchestrator";
  useEffect(() => {
    if (refused) setDeaf(true);
  }, [refused]);
  const status = classOf(fields?.status);
  const names = NAMES[status];
  const mine = all
    .filter((one) => one.nodeId === nodeId)
    .reverse()
    .slice(0, 8);
  return (
    <section className="stack" aria-label="Commands">
      <div className="row wrap">
        {names.map((name) => (
          <Named
            key={name}
            name={name}
            disabled={sending || deaf}
            onSend={() => void send({ name, nodeId })}
          />
        ))}
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault();
            if (other.trim() !== "") void send({ name: other.trim(), nodeId });
            setOther("");
          }}
        >
          <input
            className="input"
            placeholder="another command"
            aria-label="Another command"
            disabled={deaf}
            size={14}
            value={other}
            onChange={(event) => setOther(event.target.value)}
          />
        </form>
      </div>
      {deaf && (
        <div className="notice c-failed row wrap" role="alert">
          <span className="grow">
            No orchestrator takes commands for this project at the moment: its orchestrator is not connected,
            or does not listen.
          </span>
          <button type="button" className="button" onClick={() => setDeaf(false)}>
            It does now
          </button>
        </div>
      )}
      {error !== null && !refused && (
        <p className="notice c-failed" role="alert">
          {error.message}
        </p>
      )}
      {mine.length > 0 && (
        <ul className="moments">
          {mine.map((one) => (
            <li key={one.id}>
              <time>{clock(at(one.at))}</time>
              <strong>{one.name}</strong>
              <span className={`badge c-${TONES[one.status]}`}>
                {one.status === "timeout" ? "no answer" : one.status}
              </span>
              {one.message !== null && <bdi className="grow">{shownText(one.message)}</bdi>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
