import { lazy, type ReactNode, Suspense, useEffect, useRef } from "react";
import { Cell, type HubError, type Project, type Travel, type Travelling } from "../core/index.ts";
import NodePanel from "../features/node/NodePanel.tsx";
import { Scrubber } from "../features/travel/Scrubber.tsx";
import { usePosition, useTravel } from "../features/travel/useTravel.ts";
import TreeView from "../features/tree/TreeView.tsx";
import { useReadable, useWatched } from "../react/hooks.ts";
import { useHub } from "../react/provider.tsx";
import { useAsCurrent } from "../ui/current.ts";
import { Link } from "../ui/link.tsx";
import { projectAddress, select, usePlace, VIEWS, type ViewName, withQuery } from "../ui/location.ts";
import { CopyLine, Empty, Failure, Spinner } from "../ui/parts.tsx";
import { PastContext } from "../ui/past.ts";
import { useShared } from "../ui/shared.ts";
import { Boundary } from "./boundary.tsx";
import { ProjectHead } from "./ProjectHead.tsx";
import { TokenForm } from "./TokenPage.tsx";

const SHOWN = {
  tree: TreeView,
  board: lazy(() => import("../features/board/BoardView.tsx")),
  graph: lazy(() => import("../features/graph/GraphView.tsx")),
  timeline: lazy(() => import("../features/timeline/TimelineView.tsx")),
  overview: lazy(() => import("../features/overview/OverviewView.tsx")),
  failures: lazy(() => import("../features/failures/FailuresView.tsx")),
  log: lazy(() => import("../features/log/LogView.tsx")),
  events: lazy(() => import("../features/events/EventsView.tsx")),
} as const satisfies Record<ViewName, unknown>;

/** One project: its head, its views, the selected node beside them, and its past. */
export function ProjectPage({ projectId, view }: { projectId: string; view: ViewName }): ReactNode {
  const project = useWatched(projectId);
  const loading = useReadable(project.loading);
  const travel = useTravel(project, loading.kind === "ready");
  const past = usePosition(travel);
  useAsCurrent(projectId, travel?.tree ?? project.tree);
  if (loading.kind === "refused") return <Refused projectId={projectId} error={loading.error} />;
  return (
    <PastContext value={past}>
      <div className="project">
        <ProjectHead project={project} tree={travel?.tree ?? project.tree} />
        <Tabs projectId={projectId} view={view} />
        {loading.kind === "loading" ? (
          <Spinner label={`Loading ${projectId} …`} />
        ) : (
          <Stage project={project} travel={travel} view={view} />
        )}
      </div>
    </PastContext>
  );
}

/** Why this project cannot be shown, and what can be done about it. */
function Refused({ projectId, error }: { projectId: string; error: HubError }): ReactNode {
  const hub = useHub();
  const shared = useShared();
  const impossible = error.code === "invalid_project_id";
  const forbidden = error.code === "forbidden";
  return (
    <Empty page title={forbidden ? "You may not watch this project" : "This project cannot be shown"}>
      <p className="notice c-failed" role="alert">
        {error.message}
      </p>
      {impossible && <p className="muted">The address may be cut off or mistyped.</p>}
      {forbidden && !shared && (
        <>
          <p className="muted">Another token may allow it:</p>
          <TokenForm />
        </>
      )}
      <div className="row">
        {!impossible && (
          <button type="button" className="button" onClick={() => hub.retry(projectId)}>
            Try again
          </button>
        )}
        {!shared && <Link href="/">All projects</Link>}
      </div>
    </Empty>
  );
}

function Tabs({ projectId, view }: { projectId: string; view: ViewName }): ReactNode {
  usePlace();
  const nav = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another view has another tab
  useEffect(() => {
    // Where not all of them find room, the one that is shown is in view.
    const here = nav.current?.querySelector<HTMLElement>("[aria-current]");
    const { current: box } = nav;
    if (here == null || box === null) return;
    if (
      here.offsetLeft + here.offsetWidth > box.scrollLeft + box.clientWidth ||
      here.offsetLeft < box.scrollLeft
    )
      box.scrollLeft = here.offsetLeft - box.clientWidth / 3;
  }, [view]);
  return (
    <nav className="tabs" aria-label="Views" ref={nav}>
      {VIEWS.map((one) => (
        <Link
          key={one}
          href={withQuery({}, projectAddress(projectId, one))}
          aria-current={one === view ? "page" : undefined}
        >
          {one[0]?.toUpperCase()}
          {one.slice(1)}
        </Link>
      ))}
    </nav>
  );
}

/** Escape closes the panel, but first whatever has a use for it: a search, a list that is open. */
function useEscape(selected: string | null): void {
  useEffect(() => {
    if (selected === null) return;
    const pressed = (event: KeyboardEvent) => {
      if (document.querySelector("dialog[open]") !== null) return;
      if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
      const { target } = event;
      if (target instanceof HTMLSelectElement) return;
      if (target instanceof HTMLInputElement && target.value !== "") return;
      if (target instanceof HTMLTextAreaElement && target.value !== "") return;
      select(null);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [selected]);
}

interface StageProps {
  readonly project: Project;
  readonly travel: Travel | null;
  readonly view: ViewName;
}

function Stage({ project, travel, view }: StageProps): ReactNode {
  const { query } = usePlace();
  const selected = query.get("node");
  useEscape(selected);
  const tree = travel?.tree ?? project.tree;
  const View = SHOWN[view];
  const props = { projectId: project.id, project, tree, selected, onSelect: select, past: travel !== null };
  return (
    <>
      <div className="stage">
        <div className="stage-view">
          <Boundary name={view}>
            <Arrived travel={travel}>
              <Nothing project={project} past={travel !== null}>
                <Suspense fallback={<Spinner label="Loading …" />}>
                  <View {...props} />
                </Suspense>
              </Nothing>
            </Arrived>
          </Boundary>
        </div>
        {selected !== null && (
          <aside className="stage-side" aria-label="Node">
            <Boundary name={selected}>
              <NodePanel {...props} nodeId={selected} />
            </Boundary>
          </aside>
        )}
      </div>
      <Scrubber project={project} travel={travel} />
    </>
  );
}

const NOW = new Cell<Travelling | null>(null);

/** A travel shows something once it has arrived at its first position. */
function Arrived({ travel, children }: { travel: Travel | null; children: ReactNode }): ReactNode {
  const now = useReadable(travel ?? NOW);
  if (travel === null || now === null || travel.tree.position !== null) return children;
  if (now.error === null) return <Spinner label="Loading …" />;
  return <Failure error={now.error} again={() => void travel.seek(now.at)} />;
}

/** Of a project without anything: what to do next. */
function Nothing({
  project,
  past,
  children,
}: {
  project: Project;
  past: boolean;
  children: ReactNode;
}): ReactNode {
  const position = useReadable({
    subscribe: project.tree.subscribe,
    get: () => (project.tree.get().position?.seq ?? 0) === 0 && project.tree.get().nodes.size === 0,
  });
  if (!position || past) return children;
  const event = `{"type":"node_update","data":{"node_id":"build","changes":{"title":"Build","status":"running"}}}`;
  return (
    <Empty title="Nothing was pushed to this project yet">
      <p className="muted">
        This page is watching: whatever is pushed shows here at once. For example, in a terminal:
      </p>
      <CopyLine
        text={`curl -X POST ${window.location.origin}${`/api/v1/projects/${encodeURIComponent(project.id)}/events`} \\\n  -H 'content-type: application/json' \\\n  -d '${event}'`}
      />
      <p className="muted">Or in Python:</p>
      <CopyLine
        text={`from tasktree_rt.client import Run\n\nwith Run("${window.location.origin}", "${project.id}") as run:\n    with run.node("build", title="Build") as node:\n        node.progress(40)`}
      />
    </Empty>
  );
}
