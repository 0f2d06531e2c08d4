import { type ReactNode, useMemo } from "react";
import type { TreeStore } from "../../core/index.ts";
import { type Filter, setFilter, useFilter } from "../../ui/filter.ts";
import { useKey } from "../../ui/keys.ts";
import { select } from "../../ui/location.ts";
import { useCounts, useSnapshot } from "../../ui/looking.ts";
import { Mark } from "../../ui/parts.tsx";
import { SORTS, type Sort } from "../../ui/rows.ts";
import { count } from "../../ui/time.ts";
import { useWord } from "../../ui/words.ts";
import { placeOf, step, URGENT, walked } from "./walk.ts";
import "./triage.css";

/** A node in review waits for a person. */
const WORDS = { failed: "failed", review: "waiting", running: "running" } as const;

/** How many nodes failed, wait and run; each number a filter, and the way from one such node to the next. */
export function Triage({ tree, selected }: { tree: TreeStore; selected: string | null }): ReactNode {
  const counts = useCounts(tree);
  const filter = useFilter();
  const only = filter.classes.size === 1 ? [...filter.classes][0] : undefined;
  const walk = walked(filter, counts);
  return (
    <div className="triage" role="group" aria-label="Nodes to look at">
      {URGENT.filter((one) => counts[one] > 0 || one === only).map((one) => (
        <button
          key={one}
          type="button"
          className={`badge triage-count c-${one}`}
          aria-pressed={one === only}
          title={`Show only these nodes: ${one}`}
          onClick={() => setFilter({ ...filter, classes: new Set(one === only ? [] : [one]) })}
        >
          <Mark status={one} />
          <span>
            {count(counts[one])} {WORDS[one]}
          </span>
        </button>
      ))}
      {walk !== null && <Steps tree={tree} selected={selected} walk={walk} />}
    </div>
  );
}

interface StepsProps {
  readonly tree: TreeStore;
  readonly selected: string | null;
  readonly walk: Filter;
}

function Steps({ tree, selected, walk }: StepsProps): ReactNode {
  const [by] = useWord("sort");
  const sort = SORTS.find((one) => one === by) ?? "order";
  const go = (by: 1 | -1) => () => {
    const stop = step(tree.get(), walk, sort, selected, by);
    if (stop !== null) select(stop.id);
  };
  const name = [...walk.classes].join(" or ") || "found";
  useKey("n", `the next ${name} node`, go(1));
  useKey("p", `the previous ${name} node`, go(-1));
  return (
    <span className="triage-steps">
      <button
        type="button"
        className="button icon"
        aria-label={`Previous ${name} node`}
        title={`Previous ${name} node: p`}
        onClick={go(-1)}
      >
        ‹
      </button>
      {selected !== null && <Place tree={tree} walk={walk} sort={sort} id={selected} />}
      <button
        type="button"
        className="button icon"
        aria-label={`Next ${name} node`}
        title={`Next ${name} node: n`}
        onClick={go(1)}
      >
        ›
      </button>
    </span>
  );
}

function Place({
  tree,
  walk,
  sort,
  id,
}: {
  tree: TreeStore;
  walk: Filter;
  sort: Sort;
  id: string;
}): ReactNode {
  const snapshot = useSnapshot(tree, 1000);
  const place = useMemo(() => placeOf(snapshot, walk, sort, id), [snapshot, walk, sort, id]);
  if (place === null) return null;
  return (
    <span className="muted nowrap">
      {count(place.place)} of {count(place.of)}
    </span>
  );
}
