/** Fields for several values, and for any value as JSON. */
import { type ReactNode, useId, useState } from "react";
import { parseExact, writeExact } from "../../core/index.ts";
import { type KindProps, Label, marked, shown, useFault, Wrong } from "./field.tsx";
import { fault, figure, resolved, same } from "./schema.ts";

export function Several({ schema, root, label, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const options = resolved(schema.items, root).enum as unknown[];
  const chosen = Array.isArray(value) ? value : [];
  const has = (one: unknown) => chosen.some((other) => same(one, other));
  const toggle = (one: unknown) =>
    onChange(has(one) ? chosen.filter((other) => !same(one, other)) : [...chosen, one]);
  const words = Array.isArray(value) ? fault({ ...schema, items: undefined }, chosen) : "";
  const first = useFault<HTMLInputElement>(words);
  return (
    <fieldset className="card" {...(words === "" ? {} : { "aria-describedby": `${id}-wrong` })}>
      <legend>{typeof schema.title === "string" ? schema.title : label}</legend>
      {options.map((one, at) => (
        <label key={at} className="row">
          <input
            ref={at === 0 ? first : null}
            type="checkbox"
            checked={has(one)}
            onChange={() => toggle(one)}
          />
          {shown(one)}
        </label>
      ))}
      <Wrong id={id} words={words} />
    </fieldset>
  );
}

/** Texts or numbers, one a line. */
export function List({ schema, root, label, required, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const items = resolved(schema.items, root);
  const [text, setText] = useState(() => (Array.isArray(value) ? value.map(shown).join("\n") : ""));
  const read = listed(text, items.type !== "string");
  const words = read.wrong || (text === "" ? "" : fault({ ...schema, items }, read.found));
  const missing = required === true && typeof schema.minItems === "number" && schema.minItems > 0;
  const field = useFault<HTMLTextAreaElement>(words);
  const change = (next: string) => {
    setText(next);
    const { found, wrong } = listed(next, items.type !== "string");
    if (wrong === "") onChange(found.length === 0 && required !== true ? undefined : found);
  };
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} hint="one a line" />
      <textarea
        ref={field}
        id={id}
        className="input"
        rows={3}
        required={missing}
        value={text}
        {...marked(id, words)}
        onChange={(event) => change(event.target.value)}
      />
      <Wrong id={id} words={words} />
    </div>
  );
}

function listed(text: string, numbers: boolean): { found: unknown[]; wrong: string } {
  const lines = text
    .split("\n")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  if (!numbers) return { found: lines, wrong: "" };
  const found = lines.map(figure);
  const bad = found.indexOf(undefined);
  return { found, wrong: bad < 0 ? "" : `“${lines[bad]?.slice(0, 40)}” is no number. One a line.` };
}

export function Raw({ schema, label, required, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const [text, setText] = useState(() => (value === undefined ? "" : writeExact(value, 2)));
  const words = text.trim() === "" || parsed(text) !== undefined ? "" : "This is no JSON yet.";
  const field = useFault<HTMLTextAreaElement>(words);
  const change = (next: string) => {
    setText(next);
    if (next.trim() === "") onChange(undefined);
    else if (parsed(next) !== undefined) onChange(parsed(next));
  };
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} hint="JSON" />
      <textarea
        ref={field}
        id={id}
        className="input mono"
        rows={4}
        spellCheck={false}
        required={required === true}
        value={text}
        {...marked(id, words)}
        onChange={(event) => change(event.target.value)}
      />
      <Wrong id={id} words={words} />
    </div>
  );
}

/** JSON as a value; undefined: it is none. */
function parsed(text: string): unknown {
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}
