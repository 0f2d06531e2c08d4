import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, it } from "vitest";

const SRC = join(process.cwd(), "src");
const LAYERS = ["core", "react", "tasktree", "ui", "features", "app"];

function imports(): { from: string; to: string }[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.includes(".test."))
    .flatMap((name) => {
      const text = readFileSync(join(SRC, name), "utf8");
      const named = [...text.matchAll(/(?:from|import\(?|new URL\()\s*"(\.[^"]+)"/g)];
      return named.map(([, to]) => ({ from: name, to: relative(SRC, join(SRC, dirname(name), to ?? "")) }));
    });
}

it("imports point down, and features never import each other", () => {
  const wrong = imports().filter(({ from, to }) => {
    const [layer = "", feature] = from.split("/");
    const [other = "", another] = to.split("/");
    if (LAYERS.indexOf(other) > LAYERS.indexOf(layer)) return true;
    return layer === "features" && other === "features" && feature !== another;
  });
  expect(imports().length).toBeGreaterThan(100);
  expect(wrong).toEqual([]);
});

it("the library needs nothing but React", () => {
  const outside = readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => /^(core|react|tasktree)\/.*\.tsx?$/.test(name) && !name.includes(".test."))
    .flatMap((name) =>
      [...readFileSync(join(SRC, name), "utf8").matchAll(/from "([^.][^"]*)"/g)].map(([, to]) => to),
    );
  expect([...new Set(outside)]).toEqual(["react"]);
});

it("no file imports itself over others, also not for its types", () => {
  const below = new Map<string, string[]>();
  // A worker names its own file.
  const others = imports().filter(({ from, to }) => from !== to);
  for (const { from, to } of others) below.set(from, [...(below.get(from) ?? []), to]);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, above: readonly string[]) => {
    if (above.includes(file)) circles.push([...above.slice(above.indexOf(file)), file].join(" > "));
    if (done.has(file) || above.includes(file)) return;
    for (const to of below.get(file) ?? []) visit(to, [...above, file]);
    done.add(file);
  };
  for (const file of below.keys()) visit(file, []);
  expect(circles).toEqual([]);
});
