import { type Fields, isObject } from "../core/json.ts";

/** Ids that stand for a project name of TaskTree's which is no id (`tasktree_rt/core/tasktree_names.py`). */
const PREFIX = "tt~";
const HASHED = "tt~~~";
const CARRIED = "tasktree_project_id";
const ESCAPED = /^(?:[A-Za-z0-9._:@-]|~[0-9A-F]{2})*$/;

/** A project's name as TaskTree has it, and its event's data without what was added to carry it. */
export function asGiven(project: string, data: unknown): [name: string, data: unknown] {
  if (!project.startsWith(PREFIX)) return [project, data];
  if (project.startsWith(HASHED)) return carried(project, data);
  return [unescaped(project.slice(PREFIX.length)) ?? project, data];
}

function carried(project: string, data: unknown): [string, unknown] {
  if (!isObject(data) || typeof data[CARRIED] !== "string") return [project, data];
  const { [CARRIED]: name, ...rest } = data as Fields & { [CARRIED]: string };
  return [name, rest];
}

function unescaped(text: string): string | null {
  if (!ESCAPED.test(text)) return null;
  try {
    return decodeURIComponent(text.replaceAll("~", "%"));
  } catch {
    return null;
  }
}
