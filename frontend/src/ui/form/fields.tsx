/** Fields for one value: a choice, yes or no, a text, a number. */
import { type ReactNode, useId, useState } from "react";
import { type KindProps, Label, marked, shown, useFault, Wrong } from "./field.tsx";
import { fault, figure, same } from "./schema.ts";

export function Choice({ schema, label, required, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const options = schema.enum as unknown[];
  const chosen = options.findIndex((one) => same(one, value));
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} />
      <select
        id={id}
        className="input"
        required={required === true}
        value={chosen < 0 ? "" : chosen}
        onChange={({ target }) => onChange(target.value === "" ? undefined : options[Number(target.value)])}
      >
        <option value="">{required === true ? "choose …" : "–"}</option>
        {options.map((one, at) => (
          <option key={at} value={at}>
            {shown(one)}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Check({ schema, label, value, onChange }: KindProps): ReactNode {
  const id = useId();
  return (
    <div className="row">
      <input
        id={id}
        type="checkbox"
        checked={value === true}
        onChange={(event) => onChange(event.target.checked)}
      />
      <Label id={id} schema={schema} label={label} />
    </div>
  );
}

const INPUTS: Record<string, string> = { date: "date", email: "email", uri: "url", time: "time" };
const HINTS: Record<string, string> = { "date-time": "2026-01-31T12:00:00Z" };

export function Words({ schema, label, required, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const text = typeof value === "string" ? value : "";
  const words = text === "" ? "" : fault(schema, text);
  const line = useFault<HTMLInputElement>(words);
  const area = useFault<HTMLTextAreaElement>(words);
  const long = typeof schema.maxLength !== "number" || schema.maxLength > 200;
  const format = String(schema.format);
  const type = INPUTS[format] ?? "text";
  const shared = {
    id,
    className: "input",
    value: text,
    required: required === true,
    ...marked(id, words),
    onChange: (event: { target: { value: string } }) => onChange(event.target.value || undefined),
  };
  const plain = long && type === "text" && schema.pattern === undefined && HINTS[format] === undefined;
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} />
      {plain ? (
        <textarea ref={area} rows={2} {...shared} />
      ) : (
        <input ref={line} type={type} placeholder={HINTS[format]} {...shared} />
      )}
      <Wrong id={id} words={words} />
    </div>
  );
}

export function Figure({ schema, label, required, value, onChange }: KindProps): ReactNode {
  const id = useId();
  const number = typeof value === "number" || typeof value === "bigint";
  // What a browser cannot read as a number it gives as nothing, and says that it is wrong.
  const [unread, setUnread] = useState(false);
  const words = unread ? "This is no number yet." : fault(schema, value);
  const field = useFault<HTMLInputElement>(words);
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} />
      <input
        ref={field}
        id={id}
        className="input"
        type="number"
        step="any"
        required={required === true}
        value={number ? String(value) : ""}
        {...marked(id, words)}
        onInput={(event) => setUnread(event.currentTarget.validity.badInput)}
        onChange={(event) => onChange(figure(event.target.value))}
      />
      <Wrong id={id} words={words} />
    </div>
  );
}
