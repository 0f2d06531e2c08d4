import { type ReactNode, useMemo, useState } from "react";
import { isObject, writeExact } from "../../core/index.ts";
import { OutsideLink } from "../../ui/link.tsx";
import { CopyButton } from "../../ui/parts.tsx";
import { RichText } from "../../ui/RichText.tsx";
import { JsonTree } from "./JsonTree.tsx";
import { isOwnImage, type Message, messagesOf, type Part } from "./messages.ts";

/** Messages as a chat; text with its Markdown; anything else as JSON that folds. */
export default function Exchange({ value }: { value: unknown }): ReactNode {
  const messages = useMemo(() => messagesOf(value), [value]);
  const [raw, setRaw] = useState(false);
  const plain = messages === null && typeof value === "string";
  return (
    <div className="exchange">
      <div className="row exchange-tools">
        {messages !== null && (
          <button type="button" className="button" aria-pressed={raw} onClick={() => setRaw(!raw)}>
            JSON
          </button>
        )}
        <CopyButton text={plain ? String(value) : writeExact(value, 1)} />
      </div>
      {messages !== null && !raw ? (
        <ol className="chat">
          {messages.map((one, at) => (
            <Said key={at} message={one} />
          ))}
        </ol>
      ) : plain ? (
        <RichText text={String(value)} />
      ) : (
        <JsonTree value={value} />
      )}
    </div>
  );
}

const SIDES: Readonly<Record<string, string>> = {
  user: "user",
  assistant: "assistant",
  model: "assistant",
  tool: "tool",
  function: "tool",
};

function Said({ message }: { message: Message }): ReactNode {
  const side = SIDES[message.role] ?? "system";
  return (
    <li className={`chat-said chat-${side}`}>
      <span className="chat-role">
        <bdi>{message.role}</bdi>
        {message.name !== undefined && <bdi className="muted"> {message.name}</bdi>}
      </span>
      {message.parts.map((part, at) => (
        <OnePart key={at} part={part} />
      ))}
      {message.parts.length === 0 && <span className="muted">nothing</span>}
    </li>
  );
}

function OnePart({ part }: { part: Part }): ReactNode {
  switch (part.kind) {
    case "text":
      return <RichText text={part.text} />;
    case "reasoning":
      return (
        <details className="chat-fold">
          <summary>Reasoning</summary>
          <RichText text={part.text} />
        </details>
      );
    case "call":
      return (
        <details className="chat-fold" open>
          <summary>
            calls <bdi className="mono">{part.name}</bdi>
          </summary>
          <Held value={part.args} />
        </details>
      );
    case "result":
      return (
        <details className={part.failed ? "chat-fold c-failed" : "chat-fold"} open>
          <summary>
            {part.failed ? "failed" : "result"}{" "}
            {part.id !== undefined && <bdi className="mono">{part.id}</bdi>}
          </summary>
          <Held value={part.value} />
        </details>
      );
    case "image":
      return <Picture source={part.source} />;
    case "json":
      return <JsonTree value={part.value} />;
  }
}

function Held({ value }: { value: unknown }): ReactNode {
  if (typeof value === "string") return <bdi className="rich-plain">{value}</bdi>;
  if (isObject(value) && Object.keys(value).length === 0) return <span className="muted">nothing</span>;
  return <JsonTree value={value} />;
}

/** A picture that is in the message itself is shown; one that is elsewhere is a link: nothing is loaded from there. */
function Picture({ source }: { source: string }): ReactNode {
  if (isOwnImage(source)) return <img className="chat-picture" src={source} alt="In the message" />;
  return (
    <span className="chip">
      <span>picture:</span>
      <OutsideLink href={source}>{source.slice(0, 120)}</OutsideLink>
    </span>
  );
}
