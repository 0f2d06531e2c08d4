/** Times as events tell them, and when a node ran; the same rules as the hub's (docs/protocol.md, "Names, times, positions"). */
import { classOf } from "./statuses.ts";

const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?(?:([Zz])|([+-]\d\d):?(\d\d))?$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** A time as milliseconds since 1970: RFC 3339, where no offset means UTC; undefined if it is none. */
export function moment(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string") return undefined;
  const parsed = DAY.test(value) ? Date.parse(value) : parse(value);
  return Number.isNaN(parsed) ? undefined : parsed;
}

function parse(value: string): number {
  const found = TIME.exec(value);
  if (found === null) return Number.NaN;
  const [, day, minute, second = "", fraction = "", , hours, minutes] = found;
  // A leap second is the end of its minute: no clock here knows one.
  const exact = second === "60" ? "59.999" : second + fraction.slice(0, 4);
  const offset = hours === undefined ? "Z" : `${hours}:${minutes}`;
  return Date.parse(`${day}T${minute}:${exact}${offset}`);
}

/** When something ran, in milliseconds since 1970. */
export interface Ran {
  readonly started: number | undefined;
  /** Undefined: not ended, or no event says when. */
  readonly ended: number | undefined;
}

/**
 * When a node ran. An `ended_at` before `started_at` is that of an earlier attempt and does not count; neither does any
 * while the status says that it runs.
 */
export function ran(fields: Readonly<Record<string, unknown>> | undefined): Ran {
  if (fields === undefined) return { started: undefined, ended: undefined };
  const started = moment(fields.started_at);
  const ended = moment(fields.ended_at);
  const earlier = started !== undefined && ended !== undefined && ended < started;
  return { started, ended: earlier || classOf(fields.status) === "running" ? undefined : ended };
}
