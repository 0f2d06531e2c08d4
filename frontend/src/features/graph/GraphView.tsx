import "@xyflow/react/dist/base.css";
import "./graph.css";
import {
  Controls,
  type Edge,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import { tree as layout, stratify } from "d3-hierarchy";
import { memo, type ReactNode, useEffect, useMemo, useState } from "react";
import type { TreeStore } from "../../core/index.ts";
import { classOf } from "../../core/index.ts";
import { useTreeNode } from "../../react/hooks.ts";
import { FilterFields } from "../../ui/FilterFields.tsx";
import { isFilter, matches, useFilter } from "../../ui/filter.ts";
import { useSnapshot } from "../../ui/looking.ts";
import { progress, title } from "../../ui/nodes.ts";
import { CountsLine, Mark, Progress } from "../../ui/parts.tsx";
import { count } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { AMOUNTS, cut, type Opened, type Picked, picked, type Spot } from "./picked.ts";

type SpotNode = Node<{ spot: Spot; tree: TreeStore; selected: boolean }, "spot">;

const WIDE = 250;
const HIGH = 64;
const ROOT = "\u0000top";
const FIT = { padding: 0.06, maxZoom: 1 };

export default function GraphView(props: ViewProps): ReactNode {
  return (
    <ReactFlowProvider>
      <Graph {...props} />
    </ReactFlowProvider>
  );
}

function Graph({ tree, selected, onSelect }: ViewProps): ReactNode {
  const snapshot = useSnapshot(tree, 1000);
  const [amount, setAmount] = useState(0);
  const most = AMOUNTS[amount] ?? AMOUNTS[0];
  const [opened, setOpened] = useState<Opened>(new Map());
  const graph = useMemo(() => picked(snapshot, selected, most, opened), [snapshot, selected, most, opened]);
  const press = ({ id, kind }: Spot) => {
    if (kind === "node") onSelect(id);
    else setOpened(new Map(opened).set(id, (opened.get(id) ?? 0) + 1));
  };
  const nodes = useMemo(() => placed(graph, tree, selected), [graph, tree, selected]);
  const edges = useMemo(() => drawn(graph), [graph]);
  const { fitView } = useReactFlow();
  const shown = graph.spots.map((one) => one.id).join("|");
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is drawn is another: bring it into view
  useEffect(() => {
    const timer = setTimeout(() => void fitView(FIT), 50);
    return () => clearTimeout(timer);
  }, [shown, fitView]);
  const total = snapshot.nodes.size;
  const there = graph.spots.filter((one) => one.kind === "node").length;
  return (
    <>
      <div className="toolbar">
        <FilterFields tree={tree}>
          <span className="muted grow">
            {count(there)} of {count(total)} nodes are drawn
            {selected === null
              ? ", the top of the tree. Choose one to see what is around it."
              : ", around the chosen one."}
          </span>
          {selected !== null && (
            <button type="button" className="button" onClick={() => onSelect(null)}>
              The top of the tree
            </button>
          )}
          {there < total && amount < AMOUNTS.length - 1 && (
            <button type="button" className="button" onClick={() => setAmount(amount + 1)}>
              Draw more
            </button>
          )}
        </FilterFields>
        <button type="button" className="button" onClick={() => void fitView(FIT)}>
          Fit
        </button>
      </div>
      <section className="graph" aria-label="Graph">
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={TYPES}
          nodesDraggable={false}
          nodesConnectable={false}
          edgesFocusable={false}
          minZoom={0.05}
          maxZoom={2}
          onlyRenderVisibleElements
          proOptions={{ hideAttribution: true }}
          onNodeClick={(_, node) => press((node as SpotNode).data.spot)}
        >
          <Controls showInteractive={false} />
        </ReactFlow>
      </section>
    </>
  );
}

function placed({ spots, depends }: Picked, tree: TreeStore, selected: string | null): SpotNode[] {
  const above = placesAbove({ spots, depends });
  const all = [
    { id: ROOT, parent: null as string | null },
    ...spots.map(({ id }) => ({ id, parent: above.get(id) ?? ROOT })),
  ];
  const root = stratify<{ id: string; parent: string | null }>()
    .id((one) => one.id)
    .parentId((one) => one.parent)(all);
  const at = new Map<string, { x: number; y: number }>();
  layout<{ id: string; parent: string | null }>()
    .nodeSize([HIGH, WIDE])(root)
    .each((one) => at.set(one.data.id, { x: one.y - WIDE, y: one.x }));
  return spots.map((spot) => ({
    id: spot.id,
    type: "spot" as const,
    position: at.get(spot.id) ?? { x: 0, y: 0 },
    data: { spot, tree, selected: spot.id === selected },
    width: 190,
    height: 56,
  }));
}

/** Left of whom each stands: its parent; else what it depends on, unless that would lead in a circle. */
function placesAbove({ spots, depends }: Picked): Map<string, string> {
  const there = new Set(spots.map((one) => one.id));
  const above = new Map<string, string>();
  for (const { id, parent } of spots) if (parent !== null && there.has(parent)) above.set(id, parent);
  for (const [needed, id] of depends) {
    if (above.has(id)) continue;
    let at: string | undefined = needed;
    while (at !== undefined && at !== id) at = above.get(at);
    if (at === undefined) above.set(id, needed);
  }
  return above;
}

function drawn({ spots, depends }: Picked): Edge[] {
  const parents = spots
    .filter((one) => one.parent !== null)
    .map((one) => ({ id: `p ${one.id}`, source: one.parent ?? "", target: one.id }));
  const needs = depends.map(([from, to]) => ({
    id: `d ${from} ${to}`,
    source: from,
    target: to,
    className: "depends",
  }));
  return [...parents, ...needs];
}

const SpotCard = memo(function SpotCard({ data: { spot, tree, selected } }: NodeProps<SpotNode>) {
  const fields = useTreeNode(tree, spot.id)?.fields;
  const share = progress(fields);
  const filter = useFilter();
  const kind = spot.kind === "cluster" ? "waiting" : classOf(fields?.status);
  const faint = spot.kind === "node" && isFilter(filter) && !matches(spot.id, fields, filter);
  return (
    <div
      className={`graph-node c-${kind} ${spot.kind}${selected ? " selected" : ""}${faint ? " faint" : ""}`}
    >
      <Handle type="target" position={Position.Left} />
      <span className="row">
        {spot.kind === "node" && <Mark status={fields?.status} />}
        {spot.kind === "cluster" ? (
          <button type="button" className="graph-more grow" title="Draw more of them">
            {count(spot.hidden)} more
          </button>
        ) : (
          <bdi className="ellipsis grow" title={title(spot.id, fields)}>
            {cut(title(spot.id, fields))}
          </bdi>
        )}
        {spot.kind === "node" && spot.hidden > 0 && <span className="chip">+{count(spot.hidden)}</span>}
      </span>
      {spot.counts !== null ? (
        <CountsLine counts={spot.counts} />
      ) : (
        share !== undefined && <Progress value={share} status={fields?.status} />
      )}
      <Handle type="source" position={Position.Right} />
    </div>
  );
});

const TYPES = { spot: SpotCard };
