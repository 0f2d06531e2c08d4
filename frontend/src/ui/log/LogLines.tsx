import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useRef } from "react";
import { at, clock, count } from "../time.ts";
import type { GroupItem, Item, TextItem } from "./groups.ts";
import { markedPieces } from "./marks.ts";
import "./log.css";

interface LogLinesProps {
  readonly items: readonly Item[];
  /** Mark these words. */
  readonly words: string;
  readonly wrap: boolean;
  readonly follow: boolean;
  readonly wanted: number | null;
  /** The name of a line's node; null: lines say no names. */
  readonly nameOf: ((nodeId: string) => string) | null;
  readonly onLeave: () => void;
  readonly onName: (seq: number) => void;
  readonly onNode: (nodeId: string) => void;
  readonly onFold: (key: string, open: boolean) => void;
}

function keyOf(item: Item | undefined, at: number): string | number {
  if (item === undefined) return at;
  return item.kind === "group" ? item.key : `${item.line.seq}:${item.rows?.[0] ?? ""}`;
}

/** The lines, of which only those in view are drawn. */
export function LogLines(props: LogLinesProps): ReactNode {
  const { items, follow, wanted, wrap, onLeave } = props;
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    estimateSize: () => 20,
    overscan: 20,
    getItemKey: (at) => keyOf(items[at], at),
  });
  useEffect(() => {
    if (follow && items.length > 0) virtual.scrollToIndex(items.length - 1, { align: "end" });
  }, [follow, items.length, virtual]);
  const brought = useRef<number | null>(null);
  useEffect(() => {
    if (wanted === null || wanted === brought.current) return;
    const at = items.findIndex((one) => one.kind === "text" && one.line.seq === wanted);
    if (at < 0) return;
    brought.current = wanted;
    virtual.scrollToIndex(at, { align: "center" });
  }, [wanted, items, virtual]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: lines that wrap otherwise have other heights
  useEffect(() => virtual.measure(), [wrap, virtual]);
  return (
    <div
      ref={box}
      className={wrap ? "log" : "log unwrapped"}
      tabIndex={0}
      role="log"
      aria-label="Log"
      aria-live="off"
      onWheel={(event) => event.deltaY < 0 && follow && onLeave()}
    >
      <div className="log-inner" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((place) => {
          const item = items[place.index];
          if (item === undefined) return null;
          const marked = item.kind === "text" && item.line.seq === wanted;
          return (
            <div
              key={place.key}
              ref={virtual.measureElement}
              data-index={place.index}
              className={item.kind === "text" ? `log-line ${item.line.level}` : "log-line log-group"}
              {...(marked ? { "aria-current": "true" as const } : {})}
              style={{ transform: `translateY(${place.start}px)` }}
            >
              {item.kind === "text" ? <Line item={item} {...props} /> : <Head item={item} {...props} />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Line({ item, words, nameOf, onName, onNode }: LogLinesProps & { item: TextItem }): ReactNode {
  const { seq, timestamp, nodeId } = item.line;
  return (
    <>
      <button type="button" title={`${timestamp}\nName this line in the address`} onClick={() => onName(seq)}>
        <time>{clock(at(timestamp))}</time>
      </button>
      {nameOf !== null && <Whose {...{ nodeId, nameOf, onNode }} />}
      <Text item={item} words={words} />
    </>
  );
}

const Text = memo(function Text({ item, words }: { item: TextItem; words: string }) {
  return (
    <span className="log-said">
      {markedPieces(item, words).map((piece, at) => {
        const Tag = piece.marked ? "mark" : "span";
        return (
          <Tag key={at} className={piece.classes}>
            {piece.text}
          </Tag>
        );
      })}
    </span>
  );
});

interface WhoseProps {
  readonly nodeId: string | null;
  readonly nameOf: (nodeId: string) => string;
  readonly onNode: (nodeId: string) => void;
}

function Whose({ nodeId, nameOf, onNode }: WhoseProps): ReactNode {
  if (nodeId === null) return <span className="log-node" />;
  const name = nameOf(nodeId);
  return (
    <button type="button" className="log-node" title={`${name}\n${nodeId}`} onClick={() => onNode(nodeId)}>
      <bdi>{name}</bdi>
    </button>
  );
}

function Head({ item, nameOf, onNode, onFold }: LogLinesProps & { item: GroupItem }): ReactNode {
  const { name, open, size, errors, line, key } = item;
  return (
    <>
      <time>{clock(at(line.timestamp))}</time>
      {nameOf !== null && <Whose nodeId={line.nodeId} nameOf={nameOf} onNode={onNode} />}
      <button type="button" className="log-fold" aria-expanded={open} onClick={() => onFold(key, !open)}>
        <span aria-hidden="true">{open ? "▾" : "▸"}</span> <bdi>{name}</bdi>{" "}
        <span className="log-size">
          {count(size)} {size === 1 ? "line" : "lines"}
          {errors > 0 && `, ${count(errors)} ${errors === 1 ? "error" : "errors"}`}
        </span>
      </button>
    </>
  );
}
