import { type ReactNode, useCallback, useRef } from "react";
import {
  attemptCount,
  classOf,
  type Fields,
  isEnded,
  type Prompt,
  promptKey,
  ran,
  text,
  texts,
  time,
  writeExact,
} from "../../core/index.ts";
import { useReadable, useTreeNode } from "../../react/hooks.ts";
import { KindIcon } from "../../ui/kinds.tsx";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import { message, progress, spent, title } from "../../ui/nodes.ts";
import { PromptForm } from "../../ui/PromptForm.tsx";
import { Ago, Badge, CopyButton, CountsLine, Progress } from "../../ui/parts.tsx";
import { useShared } from "../../ui/shared.ts";
import { duration, useNow } from "../../ui/time.ts";
import type { ViewProps } from "../../ui/view.ts";
import { Attempts } from "./Attempts.tsx";
import { CALLED, Called } from "./Called.tsx";
import { Commands } from "./Commands.tsx";
import { FailedBelow, Failure } from "./Failure.tsx";
import { NodeLog } from "./NodeLog.tsx";
import { NodeMoments } from "./NodeMoments.tsx";
import "./node.css";

const TABS = ["fields", "log", "history"] as const;
type Tab = (typeof TABS)[number];
const NAMES = { fields: "Fields", log: "Log", history: "History" } as const;

/** All about one node. */
export default function NodePanel(props: ViewProps & { nodeId: string }): ReactNode {
  const { nodeId, tree, project, onSelect, past } = props;
  const node = useTreeNode(tree, nodeId);
  const { query } = usePlace();
  const tab = TABS.find((one) => one === query.get("tab")) ?? "fields";
  const line = query.get("line") ?? "";
  // The log of a failed node opens where it first tells of a fault.
  const fault = useRef<{ nodeId: string; seq: number } | null>(null);
  const onFault = useCallback(
    (seq: number) => {
      fault.current = { nodeId, seq };
    },
    [nodeId],
  );
  const show = (one: Tab) => {
    const seq = one === "log" && fault.current?.nodeId === nodeId ? String(fault.current.seq) : null;
    go(withQuery({ tab: one === "fields" ? null : one, line: seq }), true);
  };
  const fields = node?.fields;
  return (
    <div className="node">
      <div className="node-head">
        <h2 className="grow">
          <bdi>{title(nodeId, fields)}</bdi>
        </h2>
        <CopyButton label="Copy id" text={nodeId} />
        <CopyButton label="Copy link" text={window.location.origin + withQuery({})} />
        <button type="button" className="button icon" aria-label="Close" onClick={() => onSelect(null)}>
          ✕
        </button>
      </div>
      <div className="node-tabs" role="tablist" aria-label="About the node">
        {TABS.map((one) => (
          <button key={one} type="button" role="tab" aria-selected={one === tab} onClick={() => show(one)}>
            {NAMES[one]}
          </button>
        ))}
      </div>
      <div className="node-body" role="tabpanel" aria-label={NAMES[tab]} tabIndex={0}>
        {node === undefined && (
          <p className="notice">There is no node of this id {past ? "at that time" : "now"}.</p>
        )}
        {tab === "fields" && fields !== undefined && <About {...props} fields={fields} onFault={onFault} />}
        {tab === "log" && (
          <NodeLog
            key={nodeId}
            {...{ project, tree, nodeId, onSelect }}
            wanted={/^\d{1,15}$/.test(line) ? Number(line) : null}
          />
        )}
        {tab === "history" && <NodeMoments project={project} nodeId={nodeId} />}
      </div>
    </div>
  );
}

const SHOWN = new Set([
  "title",
  "name",
  "status",
  "progress",
  "message",
  "started_at",
  "ended_at",
  "parent_id",
  "depends_on",
  "attempt",
  "kind",
  "ended_attempts",
  ...CALLED,
]);

function About({
  projectId,
  nodeId,
  tree,
  project,
  onSelect,
  past,
  fields,
  onFault,
}: ViewProps & { nodeId: string; fields: Fields; onFault: (seq: number) => void }): ReactNode {
  const shared = useShared();
  const rollup = useTreeNode(tree, nodeId)?.rollup ?? null;
  const share = progress(fields);
  const parent = text(fields, "parent_id");
  const earlier = time(fields, "ended_at") !== undefined && ran(fields).ended === undefined;
  const rest = Object.entries(fields).filter(([name]) => !SHOWN.has(name));
  return (
    <>
      <div className="row wrap">
        <Badge status={fields.status} />
        {text(fields, "kind") !== undefined && (
          <span className="chip">
            <KindIcon kind={text(fields, "kind")} />
            <bdi>{text(fields, "kind")}</bdi>
          </span>
        )}
        {attemptCount(fields) > 1 && <span className="chip">attempt {attemptCount(fields)}</span>}
        <Spent fields={fields} />
      </div>
      {share !== undefined && <Progress value={share} status={fields.status} />}
      {classOf(fields.status) === "failed" ? (
        <Failure key={nodeId} project={project} nodeId={nodeId} fields={fields} onFault={onFault} />
      ) : (
        message(fields) !== undefined && <bdi className="notice node-message">{message(fields)}</bdi>
      )}
      {(rollup?.counts.failed ?? 0) > 0 && <FailedBelow tree={tree} nodeId={nodeId} onSelect={onSelect} />}
      {!past && !shared && <Waiting {...{ project, nodeId }} />}
      {!past && !shared && <Commands project={project} nodeId={nodeId} fields={fields} />}
      <Called {...{ projectId, nodeId, tree, fields }} />
      <Attempts fields={fields} />
      <dl className="fields">
        <dt>id</dt>
        <dd className="mono">{nodeId}</dd>
        {parent !== undefined && (
          <>
            <dt>parent</dt>
            <dd>
              <Jump id={parent} label={title(parent, tree.node(parent))} onSelect={onSelect} />
            </dd>
          </>
        )}
        {texts(fields, "depends_on").length > 0 && (
          <>
            <dt>depends on</dt>
            <dd className="row wrap">
              {texts(fields, "depends_on")
                .slice(0, 50)
                .map((one) => (
                  <Jump key={one} id={one} label={title(one, tree.node(one))} onSelect={onSelect} />
                ))}
            </dd>
          </>
        )}
        <Time name="started" fields={fields} of="started_at" />
        <Time name={earlier ? "ended (an earlier attempt)" : "ended"} fields={fields} of="ended_at" />
        {rest.map(([name, value]) => (
          <Field key={name} name={name} value={value} />
        ))}
      </dl>
      {rollup !== null && (
        <section className="stack">
          <h3>
            {rollup.total.toLocaleString()} below it, {Math.round(rollup.progress)} %
          </h3>
          <CountsLine counts={rollup.counts} />
        </section>
      )}
    </>
  );
}

function Waiting({ project, nodeId }: Pick<ViewProps, "project"> & { nodeId: string }): ReactNode {
  const prompts = useReadable({
    subscribe: project.tree.subscribe,
    get: () => project.tree.get().top.prompts,
  });
  const mine = prompts.filter((one) => one.node_id === nodeId) as unknown as Prompt[];
  return mine.map((one) => <PromptForm key={promptKey(one)} prompt={one} />);
}

function Spent({ fields }: { fields: Fields }): ReactNode {
  const now = useNow();
  const ms = spent(fields, now);
  if (ms === undefined) return null;
  return (
    <span className="muted">
      {isEnded(fields.status) ? "took" : "for"} {duration(ms)}
    </span>
  );
}

function Time({ name, fields, of }: { name: string; fields: Fields; of: string }): ReactNode {
  const at = time(fields, of);
  if (at === undefined) return fields[of] == null ? null : <Field name={of} value={fields[of]} />;
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <Ago time={at} /> <span className="muted">{new Date(at).toLocaleString()}</span>
      </dd>
    </>
  );
}

function Field({ name, value }: { name: string; value: unknown }): ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd className={typeof value === "string" ? "" : "mono"}>
        <bdi>{typeof value === "string" ? value : writeExact(value, 1)}</bdi>
      </dd>
    </>
  );
}

function Jump({
  id,
  label,
  onSelect,
}: {
  id: string;
  label: string;
  onSelect: (id: string) => void;
}): ReactNode {
  return (
    <button type="button" className="chip" onClick={() => onSelect(id)}>
      <bdi>{label}</bdi>
    </button>
  );
}
