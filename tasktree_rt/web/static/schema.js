// JSON Schemas as something to read. Everything is set as text.

import { element } from "./dom.js";

export const text = (name, className, words) => {
  const made = element(name, className);
  made.textContent = words;
  return made;
};

/** A description: paragraphs, and `code`. */
export function prose(words, className = "prose") {
  const made = element("div", className);
  for (const paragraph of (words ?? "").split("\n\n")) {
    const parts = paragraph.split("`").map((part, index) => (index % 2 ? text("code", "", part) : part));
    made.append(element("p", "", ...parts));
  }
  return made;
}

export const json = (value) => text("pre", "example", typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** What a local `$ref` points at. */
export function resolve(doc, value) {
  let found = value;
  while (found && found.$ref !== undefined) {
    const names = found.$ref.slice(2).split("/");
    const { $ref, ...beside } = found;
    const target = names.reduce((at, name) => at[name.replaceAll("~1", "/").replaceAll("~0", "~")], doc);
    found = { ...target, ...beside };
  }
  return found;
}

const nameOf = (schema) => schema.$ref?.split("/").at(-1) ?? null;
const variants = (schema) => schema.oneOf ?? schema.anyOf ?? null;

/** A type in a few words: "string", "array of Node", "integer or null". */
export function brief(schema) {
  if (schema.$ref) return nameOf(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.length > 6 ? `one of ${schema.enum.length} words` : schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = variants(schema);
  if (several) return several.length > 4 ? `one of ${several.length}` : several.map(brief).join(" or ");
  if (schema.type === "array") return schema.items ? `array of ${brief(schema.items)}` : "array";
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.type ?? "any value";
}

const BOUNDS = { minimum: "≥", maximum: "≤", exclusiveMinimum: ">", minLength: "length ≥", maxLength: "length ≤", minItems: "items ≥", default: "default", format: "format", pattern: "matches" };
const bounds = (schema) =>
  Object.keys(BOUNDS).filter((name) => schema[name] !== undefined).map((name) => `${BOUNDS[name]} ${schema[name]}`);

/** Schemas worth unfolding below a schema: `[name or null, schema]`. */
function inner(doc, schema) {
  if (schema.$ref) {
    const found = resolve(doc, schema);
    return found.properties || variants(found) || found.enum ? [[nameOf(schema), found]] : [];
  }
  const several = variants(schema) ?? [schema.items, schema.additionalProperties].filter((one) => one && typeof one === "object");
  const nested = several.flatMap((one) => inner(doc, one));
  return schema.properties ? [[null, schema], ...nested] : nested;
}

/** A schema: its properties as rows, what they refer to folded away until somebody looks. */
export function schemaView(doc, schema) {
  const found = resolve(doc, schema);
  const box = element("div", "schema");
  if (found.description) box.append(prose(found.description, "prose small"));
  if (found.properties) {
    const rows = Object.entries(found.properties).map(([name, one]) => property(doc, name, one, found.required ?? []));
    box.append(element("dl", "properties", ...rows.flat()));
    if (found.additionalProperties !== false) box.append(text("p", "small muted", "… and any other key."));
  } else if (found.enum) {
    box.append(element("p", "words", ...found.enum.map((one) => text("code", "", one))));
  } else {
    if (!variants(found)) box.append(text("p", "type", [brief(found), ...bounds(found)].join(", ")));
    for (const [name, one] of (variants(found) ?? []).flatMap((variant) => inner(doc, variant))) box.append(folded(doc, name, one));
  }
  return box;
}

function property(doc, name, schema, required) {
  const target = resolve(doc, schema);
  const term = element("dt", "", text("code", "key", name));
  if (required.includes(name)) term.append(text("span", "needed", "required"));
  const description = element("dd", "", text("span", "type", [brief(schema), ...bounds(target)].join(", ")));
  if (target.description) description.append(prose(target.description, "prose small"));
  for (const [inside, one] of inner(doc, schema)) description.append(folded(doc, inside ?? name, one));
  return [term, description];
}

/** Unfolded on demand: schemas may refer to each other in circles. */
export function folded(doc, name, schema, open = false) {
  const details = element("details", "fold", text("summary", "", name));
  const fill = () => details.childElementCount === 1 && details.append(schemaView(doc, schema));
  details.addEventListener("toggle", fill, { once: true });
  if (open) {
    fill();
    details.open = true;
  }
  return details;
}
