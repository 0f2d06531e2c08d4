// What the first page loads, compressed: fails above the bound. Run after a build.
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const BOUND = 200 * 1024;
const FOLDER = new URL("../../tasktree_rt/web/static/app/", import.meta.url);
const manifest = JSON.parse(await readFile(new URL("manifest.json", FOLDER), "utf8"));

/** The scripts that an entry needs before it can show anything: what is loaded later does not count. */
function needed(name, found = new Set()) {
  const chunk = manifest[name];
  if (chunk === undefined || found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const one of chunk.imports ?? []) needed(one, found);
  return found;
}

let total = 0;
for (const file of needed("index.html")) {
  const size = gzipSync(await readFile(new URL(file, FOLDER)), { level: 9 }).length;
  total += size;
  console.log(`${String(size).padStart(8)}  ${file}`);
}
console.log(`${String(total).padStart(8)}  bytes gzip in all, of ${BOUND} allowed`);
if (total > BOUND) process.exit(1);
