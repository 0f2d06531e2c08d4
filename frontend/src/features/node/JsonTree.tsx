import { type ReactNode, useState } from "react";
import { isObject, writeExact } from "../../core/index.ts";

/** So many entries of an object or array are shown at once. */
const MANY = 100;
/** So many characters of a text. */
const LONG = 2_000;
/** Deeper than this, what is inside opens when it is asked for. */
const OPEN = 2;

/** Any JSON, which folds; what is folded is not made. */
export function JsonTree({
  value,
  name,
  depth = 0,
}: {
  value: unknown;
  name?: string;
  depth?: number;
}): ReactNode {
  if (Array.isArray(value) || isObject(value)) return <Inner {...{ value, name, depth }} />;
  return (
    <div className="json-line">
      <Name name={name} />
      <Leaf value={value} />
    </div>
  );
}

function Inner({
  value,
  name,
  depth,
}: {
  value: unknown[] | Record<string, unknown>;
  name: string | undefined;
  depth: number;
}): ReactNode {
  const [open, setOpen] = useState(depth < OPEN);
  const [most, setMost] = useState(MANY);
  const entries = Object.entries(value);
  const [begin, end] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return (
    <details className="json" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Name name={name} />
        <span className="muted">
          {begin}
          {open ? "" : ` ${entries.length} ${end}`}
        </span>
      </summary>
      {open && (
        <div className="json-inner">
          {entries.slice(0, most).map(([key, one]) => (
            <JsonTree key={key} name={key} value={one} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" className="button" onClick={() => setMost(most + 10 * MANY)}>
              {(entries.length - most).toLocaleString()} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}

function Name({ name }: { name: string | undefined }): ReactNode {
  return name === undefined ? null : <bdi className="json-name">{name}: </bdi>;
}

function Leaf({ value }: { value: unknown }): ReactNode {
  const [whole, setWhole] = useState(false);
  if (typeof value !== "string") return <span className="json-other">{writeExact(value)}</span>;
  const cut = value.length > LONG && !whole;
  return (
    <>
      <bdi className="json-text">{cut ? `${value.slice(0, LONG)} …` : value}</bdi>
      {cut && (
        <button type="button" className="button" onClick={() => setWhole(true)}>
          {value.length.toLocaleString()} characters
        </button>
      )}
    </>
  );
}
