import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useMemo, useRef } from "react";
import type { TreeStore } from "../../core/index.ts";
import { useTreeNode } from "../../react/hooks.ts";
import { FilterFields } from "../../ui/FilterFields.tsx";
import { isFilter, matching, useFilter } from "../../ui/filter.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { message, progress, title } from "../../ui/nodes.ts";
import { Mark, Progress } from "../../ui/parts.tsx";
import { usePreference } from "../../ui/preference.ts";
import { count } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { BOARDS, type BoardName, type Column, columns } from "./columns.ts";
import "./board.css";

const NAMES: Record<BoardName, string> = {
  auto: "Columns that fit",
  run: "Run",
  tasks: "TaskTree",
  mission: "Mission Control",
};

export default function BoardView({ tree, selected, onSelect }: ViewProps): ReactNode {
  const snapshot = useSnapshot(tree);
  const [board, setBoard] = usePreference("board", "auto");
  const filter = useFilter();
  const all = useMemo(() => {
    const every = columns(snapshot, board as BoardName);
    return isFilter(filter) ? only(every, matching(snapshot, filter)) : every;
  }, [snapshot, board, filter]);
  return (
    <>
      <div className="toolbar">
        <FilterFields tree={tree}>
          <select
            className="input"
            aria-label="Columns"
            value={board}
            onChange={(event) => setBoard(event.target.value)}
          >
            {(Object.keys(BOARDS) as BoardName[]).map((one) => (
              <option key={one} value={one}>
                {NAMES[one]}
              </option>
            ))}
          </select>
        </FilterFields>
      </div>
      <section className="board" aria-label="Board" tabIndex={0}>
        {all.map((column) => (
          <Cards key={column.name} column={column} tree={tree} selected={selected} onSelect={onSelect} />
        ))}
      </section>
    </>
  );
}

function only(all: readonly Column[], ids: ReadonlySet<string>): Column[] {
  return all.map((column) => ({ ...column, ids: column.ids.filter((id) => ids.has(id)) }));
}

interface CardsProps {
  readonly column: Column;
  readonly tree: TreeStore;
  readonly selected: string | null;
  readonly onSelect: (id: string) => void;
}

const CARD = 80;

function Cards({ column, tree, selected, onSelect }: CardsProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: column.ids.length,
    getScrollElement: () => box.current,
    estimateSize: () => CARD,
    overscan: 6,
    getItemKey: (at) => column.ids[at] ?? at,
  });
  return (
    <section className="board-column" aria-label={column.title}>
      <div className="board-head">
        <Mark status={column.status} />
        <h2 className="grow ellipsis">{column.title}</h2>
        <span className="muted">{count(column.ids.length)}</span>
      </div>
      <div ref={box} className="board-cards" tabIndex={0} role="group" aria-label={`${column.title}: cards`}>
        <div className="board-inner" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const id = column.ids[item.index] ?? "";
            return (
              <Card
                key={id}
                id={id}
                tree={tree}
                top={item.start}
                selected={id === selected}
                onSelect={onSelect}
              />
            );
          })}
        </div>
      </div>
    </section>
  );
}

interface CardProps {
  readonly id: string;
  readonly tree: TreeStore;
  readonly top: number;
  readonly selected: boolean;
  readonly onSelect: (id: string) => void;
}

const Card = memo(function Card({ id, tree, top, selected, onSelect }: CardProps) {
  const fields = useTreeNode(tree, id)?.fields;
  const share = progress(fields);
  return (
    <button
      type="button"
      className="board-card"
      data-listed=""
      aria-pressed={selected}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(id)}
    >
      <bdi className="ellipsis">{title(id, fields)}</bdi>
      <bdi className="ellipsis muted">{message(fields) ?? id}</bdi>
      {share !== undefined && <Progress value={share} status={fields?.status} />}
    </button>
  );
});
