import { CLASSES, classOf, type StatusClass, type TreeSnapshot, texts } from "../../core/index.ts";
import { URGENCY } from "../../ui/nodes.ts";

/** How much is drawn at first, and when more is asked for. More cannot be read, and takes too long to draw. */
export const AMOUNTS = [30, 110, 260] as const;
const CHILDREN = 8;
/** As many more of a cluster's nodes are drawn each time that it is opened. */
const MORE = 16;

/** How often which cluster was opened. */
export type Opened = ReadonlyMap<string, number>;

export interface Spot {
  readonly id: string;
  /** A node; or what stands for several that are not drawn. */
  readonly kind: "node" | "cluster";
  readonly parent: string | null;
  readonly hidden: number;
  readonly counts: Readonly<Record<StatusClass, number>> | null;
}

export interface Picked {
  readonly spots: readonly Spot[];
  /** Dependencies between what is drawn: from what is needed to what needs it. */
  readonly depends: readonly (readonly [from: string, to: string])[];
}

/** What to draw: the neighbourhood of a node, or the top of the tree. */
export function picked(
  snapshot: TreeSnapshot,
  focus: string | null,
  most: number = AMOUNTS[0],
  opened: Opened = new Map(),
): Picked {
  const spots = new Map<string, Spot>();
  const at = focus !== null && snapshot.nodes.has(focus) ? focus : null;
  if (at === null) grow(snapshot, spots, snapshot.shape.roots, null, most, opened);
  else around(snapshot, spots, at, most, opened);
  return { spots: [...spots.values()], depends: depends(snapshot, spots) };
}

/** Level by level, for as long as a whole level finds room; the first always does. */
function grow(
  snapshot: TreeSnapshot,
  spots: Map<string, Spot>,
  roots: readonly string[],
  parent: string | null,
  most: number,
  opened: Opened,
): void {
  let level: { ids: readonly string[]; parent: string | null }[] = [{ ids: roots, parent }];
  for (let first = true; level.length > 0; first = false) {
    const wanted = level.reduce((sum, { ids }) => sum + Math.min(ids.length, CHILDREN + 1), 0);
    if (!first && spots.size + wanted > most) break;
    const next: typeof level = [];
    for (const { ids, parent: above } of level) {
      for (const id of some(snapshot, spots, ids, above, opened)) {
        const children = snapshot.shape.children(id);
        if (children.length > 0) next.push({ ids: children, parent: id });
      }
    }
    level = next;
  }
  for (const [id, spot] of spots) {
    if (spot.kind === "cluster" || [...snapshot.shape.children(id)].some((child) => spots.has(child)))
      continue;
    const below = snapshot.shape.rollup(id);
    if (below !== null) spots.set(id, { ...spot, hidden: below.total, counts: below.counts });
  }
}

/** The first of siblings, those that matter before the others, and the rest as a cluster. */
function some(
  snapshot: TreeSnapshot,
  spots: Map<string, Spot>,
  ids: readonly string[],
  parent: string | null,
  opened: Opened,
): string[] {
  const name = `cluster of ${parent ?? "the top"}`;
  const room = CHILDREN + MORE * (opened.get(name) ?? 0);
  const fresh = ids.filter((id) => !spots.has(id));
  const most = fresh.length <= room + 1 ? fresh : matter(snapshot, fresh).slice(0, room);
  for (const id of most) spots.set(id, { id, kind: "node", parent, hidden: 0, counts: null });
  const rest = fresh.length - most.length;
  if (rest > 0) {
    const drawn = new Set(most);
    const counts = Object.fromEntries(CLASSES.map((one) => [one, 0])) as Record<StatusClass, number>;
    for (const id of fresh) if (!drawn.has(id)) counts[classOf(snapshot.nodes.get(id)?.status)] += 1;
    spots.set(name, { id: name, kind: "cluster", parent, hidden: rest, counts });
  }
  return most;
}

function matter({ nodes }: TreeSnapshot, ids: readonly string[]): string[] {
  return [...ids].sort(
    (one, other) => URGENCY[classOf(nodes.get(one)?.status)] - URGENCY[classOf(nodes.get(other)?.status)],
  );
}

function around(
  snapshot: TreeSnapshot,
  spots: Map<string, Spot>,
  focus: string,
  most: number,
  opened: Opened,
): void {
  const path = snapshot.shape.path(focus);
  path.forEach((id, depth) => {
    const parent = path[depth - 1] ?? null;
    spots.set(id, { id, kind: "node", parent, hidden: 0, counts: null });
  });
  const parent = path.at(-2) ?? null;
  if (parent !== null) some(snapshot, spots, snapshot.shape.children(parent), parent, opened);
  const needed = texts(snapshot.nodes.get(focus), "depends_on").filter((id) => snapshot.nodes.has(id));
  const needing: string[] = [];
  for (const [id, fields] of snapshot.nodes) {
    if (needing.length < 40 && texts(fields, "depends_on").includes(focus)) needing.push(id);
  }
  for (const id of [...needed.slice(0, 40), ...needing]) {
    if (!spots.has(id)) spots.set(id, { id, kind: "node", parent: null, hidden: 0, counts: null });
  }
  grow(snapshot, spots, snapshot.shape.children(focus), focus, most, opened);
}

function depends({ nodes }: TreeSnapshot, spots: ReadonlyMap<string, Spot>): [string, string][] {
  const found: [string, string][] = [];
  for (const id of spots.keys()) {
    for (const needed of texts(nodes.get(id), "depends_on")) if (spots.has(needed)) found.push([needed, id]);
  }
  return found;
}

const BEGINNING = 8;
const END = 9;

/** A label that fits a card: what tells names apart is often at their end, so the middle is left out. */
export function cut(label: string): string {
  const signs = [...label];
  if (signs.length <= BEGINNING + END + 1) return label;
  return `${signs.slice(0, BEGINNING).join("").trimEnd()}…${signs.slice(-END).join("")}`;
}
