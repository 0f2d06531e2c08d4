import { type ReactNode, useId, useState } from "react";
import { type Fields, isObject } from "../../core/index.ts";
import { type KindProps, Label, type SchemaFieldProps, shown } from "./field.tsx";
import { Check, Choice, Figure, Words } from "./fields.tsx";
import { List, Raw, Several } from "./lists.tsx";
import { DEEPEST, demanded, fitting, initial, resolved, variants } from "./schema.ts";

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
  if ("const" in schema) return Fixed;
  if (depth < DEEPEST && Array.isArray(schema.oneOf ?? schema.anyOf)) return Variants;
  if (Array.isArray(schema.enum)) return Choice;
  if (schema.type === "boolean") return Check;
  if (schema.type === "string") return Words;
  if (schema.type === "integer" || schema.type === "number") return Figure;
  if (schema.type === "array" && Array.isArray(items.enum)) return Several;
  if (schema.type === "array" && LINES.includes(String(items.type))) return List;
  if (schema.type === "object" && isObject(schema.properties) && depth < DEEPEST) return Group;
  return Raw;
}

/** What cannot be another. */
function Fixed({ schema, label }: KindProps): ReactNode {
  return (
    <span className="muted">
      {typeof schema.title === "string" ? schema.title : label}: <bdi>{shown(schema.const)}</bdi>
    </span>
  );
}

/** One of several: which one is chosen, then filled in. */
function Variants({ schema, root, label, required, value, onChange, depth = 0 }: KindProps): ReactNode {
  const id = useId();
  const all = variants(schema, root);
  const [chosen, setChosen] = useState(() => fitting(all, value, root));
  const choose = (at: number) => {
    setChosen(at);
    const next = all[at];
    onChange(next === undefined ? undefined : initial(next.schema, root, depth));
  };
  const one = all[chosen];
  const must = required === true && schema.nullable !== true;
  return (
    <div className="stack">
      <Label id={id} schema={schema} label={label} required={must} />
      <select
        id={id}
        className="input"
        required={must}
        value={one === undefined ? "" : chosen}
        onChange={({ target }) => choose(target.value === "" ? -1 : Number(target.value))}
      >
        <option value="">{must ? "choose …" : "–"}</option>
        {all.map(({ name }, at) => (
          <option key={at} value={at}>
            {name}
          </option>
        ))}
      </select>
      {one !== undefined && !("const" in one.schema) && (
        <SchemaField
          key={chosen}
          schema={one.schema}
          root={root}
          label={one.name}
          required
          value={value}
          onChange={onChange}
          depth={depth + 1}
        />
      )}
    </div>
  );
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
