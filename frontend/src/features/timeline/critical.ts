/** The chain of work that decided when all of it ended. */
import { dependencies, type Survey } from "./survey.ts";

/**
 * The critical path, the first first: from the unit that ended last back, always to the one that ended last of those it
 * waited for. A unit waits for what it depends on and for what the nodes above it depend on; to depend on a branch is to
 * depend on each unit in it, and on a node that says no times, on the one above it whose time it shares. Empty where nothing
 * depends on anything.
 */
export function criticalPath(survey: Survey): string[] {
  const waits = survey.ids.map((_, place) => dependencies(survey.fields(place)));
  if (waits.every((one) => one.length === 0)) return [];
  const latest = latestUnits(survey);
  const path = new Set<number>();
  let at = -1;
  for (let place = 0; place < survey.ids.length; place = survey.end[place]!)
    at = later(survey, at, latest[place]!);
  while (at >= 0) {
    path.add(at);
    at = lastWaitedFor(survey, waits, latest, path, at);
  }
  return [...path].reverse().map((place) => survey.ids[place]!);
}

function lastWaitedFor(
  survey: Survey,
  waits: readonly (readonly string[])[],
  latest: Int32Array,
  path: ReadonlySet<number>,
  unit: number,
): number {
  let found = -1;
  for (let above = unit; above >= 0; above = survey.parent[above]!) {
    for (const id of waits[above]!) {
      const named = survey.place(id);
      if (named < 0 || survey.contains(named, unit) || survey.contains(above, named)) continue;
      found = later(survey, found, lastOf(survey, latest, path, unit, named));
    }
  }
  return found;
}

/** The unit of a branch that ended last and is not on the path; -1: there is none. */
function lastOf(
  survey: Survey,
  latest: Int32Array,
  path: ReadonlySet<number>,
  unit: number,
  branch: number,
): number {
  const last = latest[branch]!;
  if (last < 0) return shared(survey, path, unit, branch);
  if (!path.has(last)) return last;
  let found = -1;
  for (let place = branch; place < survey.end[branch]!; place += 1)
    if (survey.unit[place] === 1 && !path.has(place)) found = later(survey, found, place);
  return found;
}

/** The unit above a node that says no times, whose time it shares. */
function shared(survey: Survey, path: ReadonlySet<number>, unit: number, place: number): number {
  for (let above = survey.parent[place]!; above >= 0; above = survey.parent[above]!) {
    if (Number.isNaN(survey.from[above]!)) continue;
    return survey.unit[above] === 1 && above !== unit && !path.has(above) ? above : -1;
  }
  return -1;
}

/** Of each branch the unit that ended last; -1: nothing in it ran. */
function latestUnits(survey: Survey): Int32Array {
  const latest = new Int32Array(survey.ids.length).fill(-1);
  for (let place = survey.ids.length - 1; place >= 0; place -= 1) {
    if (survey.unit[place] === 1) latest[place] = place;
    const above = survey.parent[place]!;
    if (above >= 0) latest[above] = later(survey, latest[above]!, latest[place]!);
  }
  return latest;
}

/** Of two units the one that ended later; of those that ended together the one that began first, then the upper one. */
export function later({ from, to }: Survey, one: number, other: number): number {
  if (one < 0 || other < 0) return Math.max(one, other);
  if (to[one]! !== to[other]!) return to[one]! > to[other]! ? one : other;
  if (from[one]! !== from[other]!) return from[one]! < from[other]! ? one : other;
  return Math.min(one, other);
}
