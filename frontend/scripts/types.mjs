// Types of the wire, made of the hub's AsyncAPI document: `node scripts/types.mjs` writes src/core/api.ts, `--check`
// ends with 1 if what is there is not what would be written.
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const DOCUMENT = new URL("../../tasktree_rt/web/static/asyncapi.json", import.meta.url);
const TARGET = new URL("../src/core/api.ts", import.meta.url);
const BANNER = "// Made by `just types` of the hub's AsyncAPI document. Do not edit.";

function localised(value) {
  if (Array.isArray(value)) return value.map(localised);
  if (value === null || typeof value !== "object") return value;
  const found = {};
  for (const [key, one] of Object.entries(value)) {
    if (key === "example" || key === "examples" || key === "title") continue;
    found[key] =
      key === "$ref" && typeof one === "string"
        ? one.replace("#/components/schemas/", "#/definitions/")
        : localised(one);
  }
  return found;
}

/** `title` is a keyword in a schema and an ordinary name among `properties`. */
function cleaned(schema) {
  const properties = schema.properties;
  const plain = localised(schema);
  if (properties) {
    plain.properties = Object.fromEntries(
      Object.entries(properties).map(([name, one]) => [name, cleaned(one)]),
    );
  }
  return plain;
}

const { components } = JSON.parse(await readFile(DOCUMENT, "utf8"));
const definitions = Object.fromEntries(
  Object.entries(components.schemas).map(([name, schema]) => [name, cleaned(schema)]),
);
const text = await compile({ title: "Everything", type: "object", definitions }, "Everything", {
  bannerComment: BANNER,
  additionalProperties: true,
  unreachableDefinitions: true,
  strictIndexSignatures: false,
  format: true,
});
if (process.argv.includes("--check")) {
  const there = await readFile(TARGET, "utf8").catch(() => "");
  if (there !== text) {
    console.error("src/core/api.ts is not what the AsyncAPI document says: run `just types`");
    process.exit(1);
  }
} else {
  await writeFile(TARGET, text);
}
