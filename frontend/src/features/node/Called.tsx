import { lazy, type ReactNode, Suspense, useMemo, useState } from "react";
import { type Fields, LARGE_FIELDS, type Large, largeOf, own, spentOf, text } from "../../core/index.ts";
import { useTreeNode } from "../../react/hooks.ts";
import { KindIcon } from "../../ui/kinds.tsx";
import { useSnapshot } from "../../ui/looking.ts";
import { ModelsTable } from "../../ui/ModelsTable.tsx";
import { byModel } from "../../ui/models.ts";
import { Failure } from "../../ui/parts.tsx";
import { bytes } from "../../ui/time.ts";
import { SpendingTable } from "../../ui/usage.tsx";
import type { ViewProps } from "../../ui/view.ts";
import { useField } from "./useField.ts";
import "./called.css";

const Exchange = lazy(() => import("./Exchange.tsx"));

/** Fields of a node that this shows. */
export const CALLED = ["model", "usage", "cost_usd", "ended_usage", ...LARGE_FIELDS] as const;

type Props = Pick<ViewProps, "projectId" | "tree"> & { nodeId: string; fields: Fields };

/** What a model, a tool or an agent was asked, what it answered, and what that took. */
export function Called({ projectId, nodeId, tree, fields }: Props): ReactNode {
  const below = useTreeNode(tree, nodeId)?.rollup?.spent ?? null;
  const used = spentOf(fields);
  const model = text(fields, "model");
  const values = LARGE_FIELDS.filter((name) => own(fields, name) != null);
  if (used === null && below === null && model === undefined && values.length === 0) return null;
  return (
    <>
      {(model !== undefined || used !== null) && (
        <section className="stack" aria-label="Model and tokens">
          {model !== undefined && (
            <p className="row">
              <KindIcon kind={text(fields, "kind")} />
              <bdi className="mono">{model}</bdi>
            </p>
          )}
          {used !== null && <SpendingTable spent={used} />}
        </section>
      )}
      {below !== null && (
        <section className="stack" aria-label="Tokens below it">
          <h3>Tokens below it</h3>
          <SpendingTable spent={below} />
          <Models tree={tree} nodeId={nodeId} />
        </section>
      )}
      {values.map((name) => (
        <Value
          key={`${nodeId} ${name}`}
          {...{ projectId, nodeId, name, tool: text(fields, "kind") === "tool" }}
          value={own(fields, name)}
        />
      ))}
    </>
  );
}

/** What each model took in a branch; nothing where no node names one. */
function Models({ tree, nodeId }: Pick<Props, "tree" | "nodeId">): ReactNode {
  const snapshot = useSnapshot(tree, 1000);
  const models = useMemo(() => byModel(snapshot, nodeId), [snapshot, nodeId]);
  if (models.every(({ model }) => model === null)) return null;
  return <ModelsTable models={models} />;
}

interface ValueProps {
  readonly projectId: string;
  readonly nodeId: string;
  readonly name: (typeof LARGE_FIELDS)[number];
  readonly value: unknown;
  readonly tool: boolean;
}

/** One of the two, which folds. One that the state does not carry is closed, and asked for when it is opened. */
function Value({ projectId, nodeId, name, value, tool }: ValueProps): ReactNode {
  const large = largeOf(value);
  const [opened, setOpened] = useState(large === null);
  const heading = tool
    ? { input: "Arguments", output: "Result" }[name]
    : { input: "Input", output: "Output" }[name];
  return (
    <details className="called" open={opened} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        <h3>{heading}</h3>
        {large !== null && <span className="muted">{bytes(large.bytes)}</span>}
      </summary>
      {opened &&
        (large === null ? <Shown value={value} /> : <Fetched {...{ projectId, nodeId, name, large }} />)}
    </details>
  );
}

function Fetched({
  projectId,
  nodeId,
  name,
  large,
}: Omit<ValueProps, "value" | "tool"> & { large: Large }): ReactNode {
  const { found, again } = useField(projectId, nodeId, name, large, true);
  if (found.kind === "failed") return <Failure error={found.error} again={again} />;
  if (found.kind === "waiting")
    return (
      <p className="muted" role="status">
        Asking the hub for {bytes(large.bytes)} …
      </p>
    );
  return <Shown value={found.value} />;
}

function Shown({ value }: { value: unknown }): ReactNode {
  return (
    <Suspense fallback={<p className="muted">Loading …</p>}>
      <Exchange value={value} />
    </Suspense>
  );
}
