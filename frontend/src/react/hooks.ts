import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import {
  type CommandRecord,
  type CommandRequest,
  type Fields,
  type Hub,
  HubError,
  type Loading,
  type Project,
  type Prompt,
  type PromptAnswer,
  type PromptPlace,
  type Prompts,
  type Readable,
  type Rollup,
  type Rows,
  type Status,
  type StoredEvent,
  type Top,
  type TreeSnapshot,
  type TreeStore,
} from "../core/index.ts";
import { useHub } from "./provider.tsx";

/** The value of a `Readable`; draws again when it is another. */
export function useReadable<T>(source: Readable<T>): T {
  return useSyncExternalStore(source.subscribe, source.get, source.get);
}

/** The project itself, watched for as long as the component is there. Draws again only for another id. */
export function useWatched(projectId: string): Project {
  const hub = useHub();
  // Held in an effect, so that what React only tries out (StrictMode, a suspended tree) holds nothing for good.
  const project = useMemo(() => peek(hub, projectId), [hub, projectId]);
  useEffect(() => {
    hub.watch(projectId);
    return () => hub.release(projectId);
  }, [hub, projectId]);
  return project;
}

function peek(hub: Hub, projectId: string): Project {
  const project = hub.watch(projectId);
  hub.release(projectId);
  return project;
}

export interface ProjectView extends Top {
  readonly id: string;
  readonly loading: Loading;
  readonly tree: TreeSnapshot;
}

/** A project: its own fields and its tree. Draws again at each change of any of it, at most once a frame. */
export function useProject(projectId: string): ProjectView {
  const project = useWatched(projectId);
  const tree = useReadable(project.tree);
  const loading = useReadable(project.loading);
  return { id: projectId, loading, tree, ...tree.top };
}

/** The tree alone. */
export function useTree(projectId: string): TreeSnapshot {
  return useReadable(useWatched(projectId).tree);
}

export interface NodeView {
  readonly id: string;
  readonly fields: Fields;
  /** What is below it; null if nothing is. */
  readonly rollup: Rollup | null;
}

/** One node; undefined if there is none of that id. Draws again only when it, or its roll-up, is another. */
export function useNode(projectId: string, nodeId: string): NodeView | undefined {
  return useTreeNode(useWatched(projectId).tree, nodeId);
}

/** The same of any tree: a travel's for instance. */
export function useTreeNode(tree: TreeStore, nodeId: string): NodeView | undefined {
  const subscribe = useCallback((told: () => void) => tree.subscribeNode(nodeId, told), [tree, nodeId]);
  const last = useRef<{ key: string; fields: Fields; view: NodeView } | null>(null);
  const get = () => {
    const fields = tree.node(nodeId);
    if (fields === undefined) return undefined;
    const rollup = tree.rollup(nodeId);
    const key = `${nodeId} ${rollup === null ? "" : JSON.stringify(rollup)}`;
    if (last.current?.fields !== fields || last.current.key !== key) {
      const kept = rollup === null ? null : { ...rollup, counts: { ...rollup.counts } };
      last.current = { key, fields, view: { id: nodeId, fields, rollup: kept } };
    }
    return last.current.view;
  };
  return useSyncExternalStore(subscribe, get, get);
}

const ALL = () => true;

/** The newest events that came while the project was watched, the oldest first. */
export function useEvents(
  projectId: string,
  filter: (event: StoredEvent) => boolean = ALL,
): readonly StoredEvent[] {
  const all = useReadable(useWatched(projectId).events);
  return useMemo(() => (filter === ALL ? all : all.filter(filter)), [all, filter]);
}

export interface PromptsView extends Omit<Prompts, "open"> {
  readonly open: readonly Prompt[];
  /** As `Hub.answer`. @throws HubError `prompt_closed` if another answer was first. */
  answer(promptId: string, answer: PromptAnswer, asked?: PromptPlace): Promise<void>;
}

/** The open prompts the viewer may answer: all, or one project's. */
export function usePrompts(projectId?: string): PromptsView {
  const hub = useHub();
  const prompts = useReadable(hub.prompts);
  const answer = useCallback(
    async (promptId: string, given: PromptAnswer, asked?: PromptPlace) => {
      try {
        await hub.answer(promptId, given, asked);
      } finally {
        void hub.prompts.refresh();
      }
    },
    [hub],
  );
  return useMemo(() => {
    const open =
      projectId === undefined ? prompts.open : prompts.open.filter((one) => one.project_id === projectId);
    return { ...prompts, open, answer };
  }, [prompts, projectId, answer]);
}

export interface CommandView {
  send(request: CommandRequest): Promise<void>;
  /** The last that was sent from here, and what became of it. */
  readonly last: CommandRecord | null;
  readonly sending: boolean;
  readonly error: HubError | null;
}

/** Send commands to a project's orchestrator and see what becomes of them. */
export function useCommand(projectId: string): CommandView {
  const hub = useHub();
  const commands = useReadable(useWatched(projectId).commands);
  const [sent, setSent] = useState<string | null>(null);
  const [sending, setSending] = useState(false);
  const [error, setError] = useState<HubError | null>(null);
  const send = useCallback(
    async (request: CommandRequest) => {
      setSending(true);
      setError(null);
      try {
        setSent(await hub.command(projectId, request));
      } catch (reason) {
        setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
      }
      setSending(false);
    },
    [hub, projectId],
  );
  const last = useMemo(() => commands.find((one) => one.id === sent) ?? null, [commands, sent]);
  return { send, last, sending, error };
}

/** How the connection is. */
export function useConnection(): Status {
  return useReadable(useHub().status);
}

/** All projects in a line each, live. */
export function useProjects(): Rows {
  return useReadable(useHub().rows);
}
