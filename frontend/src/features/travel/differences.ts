/** What is another between two states of a tree. */
import { classOf, type Fields, writeExact } from "../../core/index.ts";
import { URGENCY } from "../../ui/nodes.ts";

export interface Turned {
  readonly id: string;
  readonly from: unknown;
  readonly to: unknown;
}

export interface Differences {
  /** Nodes with another status, the most urgent first. */
  readonly turned: readonly Turned[];
  readonly came: readonly string[];
  /** Nodes that are gone, with what they were. */
  readonly went: readonly (readonly [id: string, fields: Fields])[];
  /** Nodes with the same status and other fields, with the fields' names. */
  readonly other: readonly { readonly id: string; readonly names: readonly string[] }[];
}

type Nodes = ReadonlyMap<string, Fields>;

function otherFields(before: Fields, now: Fields): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names]
    .filter((name) => writeExact(before[name] ?? null) !== writeExact(now[name] ?? null))
    .sort();
}

export function differences(before: Nodes, now: Nodes): Differences {
  const turned: Turned[] = [];
  const came: string[] = [];
  const other: { id: string; names: string[] }[] = [];
  for (const [id, fields] of now) {
    const was = before.get(id);
    if (was === undefined) came.push(id);
    else if (was.status !== fields.status) turned.push({ id, from: was.status, to: fields.status });
    else {
      const names = was === fields ? [] : otherFields(was, fields);
      if (names.length > 0) other.push({ id, names });
    }
  }
  turned.sort((one, two) => URGENCY[classOf(one.to)] - URGENCY[classOf(two.to)]);
  return { turned, came, other, went: [...before].filter(([id]) => !now.has(id)) };
}
