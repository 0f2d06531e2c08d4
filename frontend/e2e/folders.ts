/** One folder for the stores of all hubs of a run, gone with it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "hubs-"));
  process.env.HUBS = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
