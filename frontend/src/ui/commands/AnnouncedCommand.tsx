import { type FormEvent, type ReactNode, useState } from "react";
import { type AnnouncedCommand, type CommandRequest, type Fields, isObject } from "../../core/index.ts";
import { AskFirst } from "../AskFirst.tsx";
import { Dialog } from "../Dialog.tsx";
import { SchemaField } from "../form/SchemaField.tsx";
import { initial } from "../form/schema.ts";

interface AnnouncedProps {
  readonly command: AnnouncedCommand;
  readonly nodeId?: string | undefined;
  readonly disabled: boolean;
  readonly onSend: (request: CommandRequest) => void;
}

/** `try-again` → `Try again`. */
export function label(name: string): string {
  const words = name.replaceAll(/[-_.:]+/g, " ").trim();
  return `${words[0]?.toUpperCase() ?? ""}${words.slice(1)}`;
}

/** A button for a command that the orchestrator announced: it asks for arguments, and first if it is dangerous. */
export function Announced({ command, nodeId, disabled, onSend }: AnnouncedProps): ReactNode {
  const [asking, setAsking] = useState(false);
  const { name, description, dangerous = false } = command;
  const send = (args?: Fields) => onSend({ name, nodeId, ...(args === undefined ? {} : { args }) });
  const className = dangerous ? "button danger" : "button";
  if (wantsArguments(command.args)) {
    return (
      <>
        <button
          type="button"
          className={className}
          disabled={disabled}
          title={description}
          onClick={() => setAsking(true)}
        >
          {label(name)} …
        </button>
        {asking && (
          <Arguments command={command} onClose={() => setAsking(false)} onSend={(args) => send(args)} />
        )}
      </>
    );
  }
  if (dangerous) {
    return (
      <AskFirst
        name={label(name)}
        question={`${label(name)} it?`}
        className={className}
        disabled={disabled}
        onYes={() => send()}
      />
    );
  }
  return (
    <button
      type="button"
      className={className}
      disabled={disabled}
      title={description}
      onClick={() => send()}
    >
      {label(name)}
    </button>
  );
}

/** Whether a schema has anything that a person could say. */
function wantsArguments(schema: unknown): schema is Fields {
  if (!isObject(schema)) return false;
  const { properties, ...rest } = schema;
  if (isObject(properties)) return Object.keys(properties).length > 0;
  return Object.keys(rest).some(
    (key) => !["type", "additionalProperties", "title", "description"].includes(key),
  );
}

interface ArgumentsProps {
  readonly command: AnnouncedCommand;
  readonly onClose: () => void;
  readonly onSend: (args: Fields) => void;
}

function Arguments({
  command: { name, description, args, dangerous },
  onClose,
  onSend,
}: ArgumentsProps): ReactNode {
  const [value, setValue] = useState<unknown>(() => initial(args));
  const send = (event: FormEvent) => {
    event.preventDefault();
    onSend(isObject(value) ? value : {});
    onClose();
  };
  return (
    <Dialog label={label(name)} onClose={onClose}>
      <form className="stack dialog-body" onSubmit={send}>
        <h2>{label(name)}</h2>
        {description !== undefined && <p className="muted">{description}</p>}
        <SchemaField schema={args} root={args} label="Arguments" required value={value} onChange={setValue} />
        <div className="row wrap">
          <button type="submit" className={dangerous === true ? "button danger" : "button primary"}>
            {label(name)}
          </button>
          <button type="button" className="button" onClick={onClose}>
            Not now
          </button>
        </div>
      </form>
    </Dialog>
  );
}
