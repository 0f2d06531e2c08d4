import { type ReactNode, useId, useState } from "react";
import { type Fields, isObject, parseExact, writeExact } from "../core/index.ts";

interface SchemaFieldProps {
  readonly schema: unknown;
  /** The whole schema, which local references point into. */
  readonly root: unknown;
  readonly label: string;
  readonly required?: boolean;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
}

const DEEPEST = 6;

/** A value to begin with: what the schema proposes, else what its type begins with. */
export function initial(schema: unknown, root: unknown = schema, depth = 0): unknown {
  const one = resolved(schema, root);
  if ("default" in one) return one.default;
  if ("const" in one) return one.const;
  if (Array.isArray(one.enum)) return one.enum[0];
  if (one.type === "boolean") return false;
  if (one.type === "array") return [];
  if (one.type !== "object" || depth > DEEPEST || !isObject(one.properties)) return undefined;
  const required = Array.isArray(one.required) ? one.required : [];
  const made: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(one.properties)) {
    if (!required.includes(name)) continue;
    const begun = initial(property, root, depth + 1);
    if (begun !== undefined) made[name] = begun;
  }
  return made;
}

/** A field for what a JSON Schema describes: fitting inputs where they exist, JSON where they do not. */
export function SchemaField(props: SchemaFieldProps & { readonly depth?: number }): ReactNode {
  const schema = resolved(props.schema, props.root);
  const depth = props.depth ?? 0;
  if (Array.isArray(schema.enum)) return <Choice {...props} options={schema.enum} />;
  if (schema.type === "boolean") return <Check {...props} />;
  if (schema.type === "string") return <Words {...props} schema={schema} />;
  if (schema.type === "integer" || schema.type === "number") return <Figure {...props} schema={schema} />;
  if (schema.type === "array" && isObject(schema.items) && Array.isArray(schema.items.enum)) {
    return <Several {...props} options={schema.items.enum} />;
  }
  if (schema.type === "object" && isObject(schema.properties) && depth < DEEPEST) {
    return <Group {...props} schema={schema} properties={schema.properties} depth={depth} />;
  }
  return <Raw {...props} />;
}

function resolved(schema: unknown, root: unknown): Fields {
  let one = schema;
  for (let steps = 0; steps < 16 && isObject(one) && typeof one.$ref === "string"; steps += 1) {
    const names = one.$ref.replace(/^#\/?/, "").split("/");
    one = names.reduce<unknown>((at, name) => {
      const plain = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~");
      return plain === "" ? at : isObject(at) ? at[plain] : undefined;
    }, root);
  }
  return isObject(one) ? one : {};
}

function Label({
  id,
  schema,
  label,
  required,
}: {
  id: string;
  schema: Fields;
  label: string;
  required?: boolean | undefined;
}): ReactNode {
  const description = typeof schema.description === "string" ? schema.description : null;
  return (
    <label htmlFor={id}>
      {typeof schema.title === "string" ? schema.title : label}
      {required === true && <span aria-hidden="true"> *</span>}
      {description !== null && <span className="muted"> – {description}</span>}
    </label>
  );
}

function Choice({
  schema,
  root,
  label,
  required,
  value,
  onChange,
  options,
}: SchemaFieldProps & { options: unknown[] }): ReactNode {
  const id = useId();
  return (
    <div className="stack">
      <Label id={id} schema={resolved(schema, root)} label={label} required={required} />
      <select
        id={id}
        className="input"
        value={options.indexOf(value)}
        onChange={(event) => onChange(options[Number(event.target.value)])}
      >
        {required !== true && <option value={-1}>–</option>}
        {options.map((one, at) => (
          <option key={at} value={at}>
            {typeof one === "string" ? one : writeExact(one)}
          </option>
        ))}
      </select>
    </div>
  );
}

function Check({ schema, root, label, value, onChange }: SchemaFieldProps): ReactNode {
  const id = useId();
  return (
    <div className="row">
      <input
        id={id}
        type="checkbox"
        checked={value === true}
        onChange={(event) => onChange(event.target.checked)}
      />
      <Label id={id} schema={resolved(schema, root)} label={label} />
    </div>
  );
}

const INPUTS: Record<string, string> = { date: "date", email: "email", uri: "url", time: "time" };

function Words({
  schema,
  label,
  required,
  value,
  onChange,
}: SchemaFieldProps & { schema: Fields }): ReactNode {
  const id = useId();
  const long = typeof schema.maxLength !== "number" || schema.maxLength > 200;
  const shared = {
    id,
    className: "input",
    value: typeof value === "string" ? value : "",
    required: required === true,
    ...(typeof schema.maxLength === "number" ? { maxLength: schema.maxLength } : {}),
    ...(typeof schema.minLength === "number" ? { minLength: schema.minLength } : {}),
  };
  const change = (event: { target: { value: string } }) => onChange(event.target.value);
  const type = INPUTS[String(schema.format)] ?? "text";
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} />
      {long && type === "text" && schema.pattern === undefined ? (
        <textarea {...shared} rows={2} onChange={change} />
      ) : (
        <input {...shared} type={type} onChange={change} />
      )}
    </div>
  );
}

function Figure({
  schema,
  label,
  required,
  value,
  onChange,
}: SchemaFieldProps & { schema: Fields }): ReactNode {
  const id = useId();
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={required} />
      <input
        id={id}
        className="input"
        type="number"
        step={
          typeof schema.multipleOf === "number" ? schema.multipleOf : schema.type === "integer" ? 1 : "any"
        }
        required={required === true}
        value={typeof value === "number" || typeof value === "bigint" ? String(value) : ""}
        {...(typeof schema.minimum === "number" ? { min: schema.minimum } : {})}
        {...(typeof schema.maximum === "number" ? { max: schema.maximum } : {})}
        onChange={(event) => onChange(event.target.value === "" ? undefined : figure(event.target))}
      />
    </div>
  );
}

/** The number that was typed; an integer beyond 2^53 as it is. */
function figure({ value, valueAsNumber }: HTMLInputElement): number | bigint {
  return /^-?\d+$/.test(value) && !Number.isSafeInteger(valueAsNumber) ? BigInt(value) : valueAsNumber;
}

function Several({
  schema,
  root,
  label,
  value,
  onChange,
  options,
}: SchemaFieldProps & { options: unknown[] }): ReactNode {
  const chosen = Array.isArray(value) ? value : [];
  const toggle = (one: unknown) =>
    onChange(chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one]);
  const told = resolved(schema, root);
  return (
    <fieldset className="card">
      <legend>{typeof told.title === "string" ? told.title : label}</legend>
      {options.map((one, at) => (
        <label key={at} className="row">
          <input type="checkbox" checked={chosen.includes(one)} onChange={() => toggle(one)} />
          {typeof one === "string" ? one : writeExact(one)}
        </label>
      ))}
    </fieldset>
  );
}

interface GroupProps extends SchemaFieldProps {
  readonly schema: Fields;
  readonly properties: Fields;
  readonly depth: number;
}

function Group({ schema, root, label, value, onChange, properties, depth }: GroupProps): ReactNode {
  const there = isObject(value) ? value : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const set = (name: string) => (next: unknown) => {
    const { [name]: _, ...rest } = there;
    onChange(next === undefined ? rest : { ...rest, [name]: next });
  };
  const fields = Object.entries(properties).map(([name, property]) => (
    <SchemaField
      key={name}
      schema={property}
      root={root}
      label={name}
      required={required.includes(name)}
      value={there[name]}
      onChange={set(name)}
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

function Raw({ schema, root, label, required, value, onChange }: SchemaFieldProps): ReactNode {
  const id = useId();
  const [words, setWords] = useState(() => (value === undefined ? "" : writeExact(value, 2)));
  const [wrong, setWrong] = useState(false);
  const change = (text: string) => {
    setWords(text);
    try {
      onChange(text.trim() === "" ? undefined : parseExact(text));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return (
    <div className="stack">
      <Label id={id} schema={resolved(schema, root)} label={`${label} (JSON)`} required={required} />
      <textarea
        id={id}
        className="input mono"
        rows={4}
        spellCheck={false}
        aria-invalid={wrong}
        value={words}
        onChange={(event) => change(event.target.value)}
      />
      {wrong && <span className="muted">This is no JSON yet.</span>}
    </div>
  );
}
