import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { TreeStore } from "../core/index.ts";
import { isFilter } from "./filter.ts";
import { KEYS, useKey } from "./keys.ts";
import { title } from "./nodes.ts";
import { Empty } from "./parts.tsx";
import type { Look, Row } from "./rows.ts";
import { rowId, TreeRow } from "./TreeRow.tsx";
import "./tree.css";

export interface TreeLinesProps {
  readonly tree: TreeStore;
  readonly all: readonly Row[];
  readonly look: Look;
  readonly selected: string | null;
  readonly onSelect: (id: string | null, replace?: boolean) => void;
  readonly keep: (collapsed: ReadonlySet<string>) => void;
  /** What scrolls, for a view that draws beside the rows. */
  readonly box?: RefObject<HTMLDivElement | null>;
  readonly noteOf?: (id: string) => string | undefined;
  readonly markOf?: (id: string) => string | undefined;
  /** Something drawn into what scrolls. */
  readonly beside?: ReactNode;
}

/** The height of a row, in pixels. */
export function rowHeight(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 32;
}

/** The rows as an ARIA tree, of which only those in view are drawn. */
export function TreeLines({
  tree,
  all,
  look,
  selected,
  onSelect,
  keep,
  box,
  beside,
  noteOf,
  markOf,
}: TreeLinesProps): ReactNode {
  const own = useRef<HTMLDivElement>(null);
  const place = box ?? own;
  const [active, setActive] = useState<string | null>(selected);
  const brought = useRef<string | null>(null);
  const height = useMemo(rowHeight, []);
  const virtual = useVirtualizer({
    count: all.length,
    getScrollElement: () => place.current,
    estimateSize: () => height,
    overscan: 12,
    getItemKey: (at) => all[at]!.id,
  });
  const places = useMemo(() => new Map(all.map((row, at) => [row.id, at])), [all]);
  const lookRef = useRef(look);
  lookRef.current = look;
  const twist = useCallback(
    (id: string) => {
      const next = new Set(lookRef.current.collapsed);
      if (!next.delete(id)) next.add(id);
      // At once: several may be twisted before this is drawn again.
      lookRef.current = { ...lookRef.current, collapsed: next };
      keep(next);
    },
    [keep],
  );
  const pick = useCallback(
    (id: string) => {
      setActive(id);
      brought.current = id;
      onSelect(id);
    },
    [onSelect],
  );

  // What is selected from elsewhere (a link, Back, the follower) is brought into view once: its ancestors opened, itself
  // in the middle. One that is not there yet, or that a filter hides, waits.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new selection scrolls, once it has a row
  useEffect(() => {
    if (selected === null) brought.current = null;
    if (selected === null || selected === brought.current) return;
    setActive(selected);
    const path = tree.get().shape.path(selected).slice(0, -1);
    const closed = new Set(path.filter((id) => look.collapsed.has(id)));
    if (closed.size > 0) keep(new Set([...look.collapsed].filter((id) => !closed.has(id))));
    const at = places.get(selected);
    if (at === undefined || closed.size > 0) return;
    brought.current = selected;
    if (!inView(place.current, at, height)) virtual.scrollToIndex(at, { align: "center" });
  }, [selected, places]);

  const move = (to: number) => {
    const row = all[Math.max(0, Math.min(all.length - 1, to))];
    if (row === undefined) return;
    setActive(row.id);
    virtual.scrollToIndex(places.get(row.id) ?? 0, { align: "auto" });
  };
  // Beside an open panel, what one moves to is shown in it.
  const walk = (by: 1 | -1) => () => {
    const at = active === null ? -1 : (places.get(active) ?? -1);
    const row = all[Math.max(0, Math.min(all.length - 1, at + by))];
    move(at + by);
    place.current?.focus({ preventScroll: true });
    if (row === undefined || selected === null) return;
    brought.current = row.id;
    onSelect(row.id, true);
  };
  useKey("j", "the row below", all.length > 0 ? walk(1) : null);
  useKey("k", "the row above", all.length > 0 ? walk(-1) : null);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (
      pressed(event.key, {
        all,
        at: active === null ? -1 : (places.get(active) ?? -1),
        move,
        twist,
        pick,
        tree,
      })
    ) {
      event.preventDefault();
    }
  };

  if (all.length === 0) {
    return isFilter(look.filter) ? (
      <Empty title="Nothing matches">
        <p className="muted">Take the filter away, or search for something else.</p>
      </Empty>
    ) : (
      <Empty title="No nodes yet">
        <p className="muted">The project is there, but nothing was pushed into its tree.</p>
      </Empty>
    );
  }
  const items = virtual.getVirtualItems();
  const shown = active !== null && items.some((item) => all[item.index]?.id === active);
  return (
    <div
      ref={place}
      className="tree"
      role="tree"
      aria-label="Nodes"
      tabIndex={0}
      onKeyDown={onKeyDown}
      onFocus={() => active === null && move(0)}
      {...(shown ? { "aria-activedescendant": rowId(active) } : {})}
    >
      <div className="tree-inner" role="presentation" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = all[item.index] as Row;
          return (
            <TreeRow
              key={row.id}
              tree={tree}
              row={row}
              top={item.start}
              active={row.id === active}
              selected={row.id === selected}
              note={noteOf?.(row.id)}
              mark={markOf?.(row.id)}
              onPick={pick}
              onTwist={twist}
            />
          );
        })}
        {beside}
      </div>
    </div>
  );
}

/** Whether the row of this index can be seen whole. */
function inView(box: HTMLElement | null, at: number, height: number): boolean {
  if (box === null) return false;
  const top = at * height - box.scrollTop;
  return top >= 0 && top + height <= box.clientHeight;
}

interface Keys {
  readonly all: readonly Row[];
  readonly at: number;
  readonly move: (to: number) => void;
  readonly twist: (id: string) => void;
  readonly pick: (id: string) => void;
  readonly tree: TreeStore;
}

const PAGE = 15;

/** The keys of the ARIA tree pattern. Returns whether the key means something here. */
function pressed(key: string, { all, at, move, twist, pick, tree }: Keys): boolean {
  const row = all[at];
  switch (key) {
    case "ArrowDown":
      move(at + 1);
      return true;
    case "ArrowUp":
      move(at - 1);
      return true;
    case "Home":
      move(0);
      return true;
    case "End":
      move(all.length - 1);
      return true;
    case "PageDown":
      move(at + PAGE);
      return true;
    case "PageUp":
      move(at - PAGE);
      return true;
  }
  if (row === undefined) return false;
  switch (key) {
    case "ArrowRight":
      if (row.expandable && !row.expanded) twist(row.id);
      else if (row.expanded) move(at + 1);
      return true;
    case "ArrowLeft":
      if (row.expanded) twist(row.id);
      else move(all.findIndex((one) => one.id === tree.get().shape.parent(row.id)));
      return true;
    case "Enter":
    case " ":
      pick(row.id);
      return true;
    case "*":
      for (const sibling of all) {
        if (sibling.depth === row.depth && sibling.expandable && !sibling.expanded) twist(sibling.id);
      }
      return true;
  }
  if (key.length !== 1 || KEYS.get().some((one) => one.key === key)) return false;
  // A letter goes to the next row that begins with it.
  const letter = key.toLowerCase();
  for (let step = 1; step <= all.length; step += 1) {
    const to = (at + step) % all.length;
    const id = all[to]?.id ?? "";
    if (title(id, tree.node(id)).toLowerCase().startsWith(letter)) {
      move(to);
      return true;
    }
  }
  return false;
}
