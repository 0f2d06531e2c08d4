/** Which names a project and a user can have; the same rule as the hub's (docs/protocol.md, "Names, times, positions"). */
import { HubError } from "./errors.ts";

const PROJECT_ID = /^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what no id may have
const USER_ID = /^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]{1,256}$/u;
const SHOWN = 60;

/** Why no project can be called so; null if one can. */
export function wrongProject(id: string): HubError | null {
  if (PROJECT_ID.test(id)) return null;
  const rule = "1–128 characters of A–Z a–z 0–9 . _ : @ ~ -, the first a letter or digit";
  return new HubError("invalid_project_id", `${quoted(id)} is not a possible project id: expected ${rule}`, {
    field: "project_id",
  });
}

/** Why no user can be called so; null if one can. */
export function wrongUser(id: string): HubError | null {
  if (USER_ID.test(id)) return null;
  const rule = "1–256 characters without control characters";
  return new HubError("invalid_message", `${quoted(id)} is not a possible user id: expected ${rule}`, {
    field: "user_id",
  });
}

/** Why no connection can watch this topic; null if one can. */
export function wrongTopic(topic: string): HubError | null {
  return topic.startsWith("@") ? wrongUser(topic.slice(1)) : wrongProject(topic);
}

function quoted(id: string): string {
  return `“${id.length > SHOWN ? `${id.slice(0, SHOWN)}…` : id}”`;
}
