import { type ReactNode, type RefObject, useEffect, useId, useRef, useState } from "react";
import { type Fields, isObject, parseExact, writeExact } from "../core/index.ts";
import { DEEPEST, demanded, fault, figure, resolved, same } from "./schema.ts";

export interface SchemaFieldProps {
  readonly schema: unknown;
  /** The whole schema, which local references point into. */
  readonly root: unknown;
  readonly label: string;
  readonly required?: boolean;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
  readonly depth?: number;
}

/** What the kinds of fields are given: their schema is resolved. */
interface KindProps extends Omit<SchemaFieldProps, "schema"> {
  readonly schema: Fields;
}

const LINES = ["string", "integer", "number"];

/**
 * A field for what a JSON Schema describes: fitting inputs where they exist, JSON where they do not. A form around it is
 * not sent by the browser while what is written in one is wrong.
 */
export function SchemaField(props: SchemaFieldProps): ReactNode {
  const schema = resolved(props.schema, props.root);
  const Kind = kind(schema, resolved(schema.items, props.root), props.depth ?? 0);
  return <Kind {...props} schema={schema} />;
}

function kind(schema: Fields, items: Fields, depth: number): (props: KindProps) => ReactNode {
  if (Array.isArray(schema.enum)) return Choice;
  if (schema.type === "boolean") return Check;
  if (schema.type === "string") return Words;
  if (schema.type === "integer" || schema.type === "number") return Figure;
  if (schema.type === "array" && Array.isArray(items.enum)) return Several;
  if (schema.type === "array" && LINES.includes(String(items.type))) return List;
  if (schema.type === "object" && isObject(schema.properties) && depth < DEEPEST) return Group;
  return Raw;
}

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** Tell the browser what is wrong with a field: its form is then not sent, and the field is marked. */
function useFault<T extends Control>(words: string): RefObject<T | null> {
  const field = useRef<T>(null);
  useEffect(() => field.current?.setCustomValidity(words), [words]);
  return field;
}

interface LabelProps {
  readonly id: string;
  readonly schema: Fields;
  readonly label: string;
  readonly required?: boolean | undefined;
  readonly hint?: string;
}

function Label({ id, schema, label, required, hint }: LabelProps): ReactNode {
  const description = typeof schema.description === "string" ? schema.description : null;
  return (
    <label htmlFor={id}>
      {typeof schema.title === "string" ? schema.title : label}
      {hint !== undefined && ` (${hint})`}
      {required === true && <span aria-hidden="true"> *</span>}
      {description !== null && <span className="muted"> – {description}</span>}
    </label>
  );
}

function Wrong({ id, words }: { id: string; words: string }): ReactNode {
  return words === "" ? null : (
    <span id={`${id}-wrong`} className="field-wrong">
      {words}
    </span>
  );
}

/** The attributes of a field whose text is wrong. */
function marked(id: string, words: string) {
  return words === "" ? {} : { "aria-invalid": true, "aria-describedby": `${id}-wrong` };
}

const shown = (one: unknown) => (typeof one === "string" ? one : writeExact(one));

function Choice({ schema, label, required, value, onChange }: KindProps): ReactNode {
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

function Check({ schema, label, value, onChange }: KindProps): ReactNode {
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

function Words({ schema, label, required, value, onChange }: KindProps): ReactNode {
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

function Figure({ schema, label, required, value, onChange }: KindProps): ReactNode {
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

function Several({ schema, root, label, value, onChange }: KindProps): ReactNode {
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
function List({ schema, root, label, required, value, onChange }: KindProps): ReactNode {
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

function Group({ schema, root, label, required, value, onChange, depth = 0 }: KindProps): ReactNode {
  const there = isObject(value) ? value : {};
  // Of what may be left out nothing is demanded before it is begun.
  const begun = required === true || Object.keys(there).length > 0;
  const set = (name: string, property: unknown) => (next: unknown) => {
    const { [name]: _, ...rest } = there;
    const empty = demanded(schema).includes(name) && resolved(property, root).nullable === true ? null : next;
    const made = next === undefined && empty === undefined ? rest : { ...rest, [name]: next ?? empty };
    onChange(required !== true && Object.keys(made).length === 0 ? undefined : made);
  };
  const fields = Object.entries(schema.properties as Fields).map(([name, property]) => (
    <SchemaField
      key={name}
      schema={property}
      root={root}
      label={name}
      required={begun && demanded(schema).includes(name) && resolved(property, root).nullable !== true}
      value={there[name]}
      onChange={set(name, property)}
      depth={depth + 1}
    />
  ));
  if (depth === 0) return <div className="stack">{fields}</div>;
  return (
    <fieldset className="card stack">
      <legend>{typeof schema.title === "string" ? schema.title : label}</legend>
      {fields}
    </fieldset>
  );
}

function Raw({ schema, label, required, value, onChange }: KindProps): ReactNode {
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
