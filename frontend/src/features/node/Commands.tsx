import { type ReactNode, useRef, useState } from "react";
import {
  type AnnouncedCommand,
  type CommandRecord,
  classOf,
  type Fields,
  type Project,
  type StatusClass,
  shownText,
} from "../../core/index.ts";
import { useCommand, useReadable } from "../../react/hooks.ts";
import { AskFirst } from "../../ui/AskFirst.tsx";
import { Announced } from "../../ui/commands/AnnouncedCommand.tsx";
import { isForNode, useAvailable, whyNot } from "../../ui/commands/available.ts";
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

/** The last announced commands while no orchestrator listens: they are shown, and cannot be sent. */
function useLast(commands: readonly AnnouncedCommand[], projectId: string): readonly AnnouncedCommand[] {
  const last = useRef<{ readonly of: string; readonly commands: readonly AnnouncedCommand[] } | null>(null);
  if (commands.length > 0) last.current = { of: projectId, commands };
  return last.current?.of === projectId ? last.current.commands : commands;
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
  const found = useAvailable(project.id);
  const why = whyNot(found);
  const commands = useLast(found?.commands ?? [], project.id).filter((one) => isForNode(one, fields));
  const guessed = found?.any === true || (found !== null && found.listening === 0 && commands.length === 0);
  const named = new Set(commands.map((one) => one.name));
  const names = guessed ? NAMES[classOf(fields?.status)].filter((one) => !named.has(one)) : [];
  const mine = all
    .filter((one) => one.nodeId === nodeId)
    .reverse()
    .slice(0, 8);
  return (
    <section className="stack" aria-label="Commands">
      <div className="row wrap">
        {commands.map((one) => (
          <Announced
            key={one.name}
            command={one}
            nodeId={nodeId}
            disabled={sending || why !== null}
            onSend={(request) => void send(request)}
          />
        ))}
        {names.map((name) => (
          <Named
            key={name}
            name={name}
            disabled={sending || why !== null}
            onSend={() => void send({ name, nodeId })}
          />
        ))}
        {found?.any === true && (
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
              disabled={why !== null}
              size={14}
              value={other}
              onChange={(event) => setOther(event.target.value)}
            />
          </form>
        )}
      </div>
      {why !== null && <p className="muted">{why}</p>}
      {error !== null && (
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
