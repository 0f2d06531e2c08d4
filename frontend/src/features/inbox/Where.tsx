import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type LogLine, linesOf, type Project, type Prompt, shownText } from "../../core/index.ts";
import { useReadable, useTreeNode, useWatched } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { Link } from "../../ui/link.tsx";
import { projectAddress } from "../../ui/location.ts";
import { useShape } from "../../ui/looking.ts";
import { message, title } from "../../ui/nodes.ts";
import { Mark } from "../../ui/parts.tsx";
import { clock, at as timeAt } from "../../ui/time.ts";

/** What a project is called: of the list, which has them all. */
function useTitle(projectId: string): string {
  const { byId } = useReadable(useHub().rows);
  return byId.get(projectId)?.title || projectId;
}

/** Where a question comes from, by its titles. `near`: the node is looked up too, with what it says and its last output. */
export function Where({ prompt, near }: { prompt: Prompt; near: boolean }): ReactNode {
  const { project_id: projectId, node_id: nodeId, user_id: userId } = prompt;
  return (
    <div className="inbox-where muted">
      {projectId !== undefined &&
        (near && nodeId !== undefined ? (
          <Near projectId={projectId} nodeId={nodeId} />
        ) : (
          <Plain projectId={projectId} nodeId={nodeId} />
        ))}
      {userId !== undefined && <span>for {userId}</span>}
    </div>
  );
}

function Plain({ projectId, nodeId }: { projectId: string; nodeId: string | undefined }): ReactNode {
  const name = useTitle(projectId);
  return (
    <Link href={projectAddress(projectId, "tree", nodeId)}>
      <bdi>{nodeId === undefined ? name : `${name} / ${nodeId}`}</bdi>
    </Link>
  );
}

function Near({ projectId, nodeId }: { projectId: string; nodeId: string }): ReactNode {
  const project = useWatched(projectId);
  const { tree } = project;
  const name = useTitle(projectId);
  const shape = useShape(tree);
  const fields = useTreeNode(tree, nodeId)?.fields;
  const path = useMemo(() => shape.path(nodeId).map((id) => title(id, tree.node(id))), [shape, tree, nodeId]);
  const said = message(fields);
  return (
    <>
      <Link href={projectAddress(projectId, "tree", nodeId)}>
        <bdi>{[name, ...(path.length === 0 ? [nodeId] : path)].join(" / ")}</bdi>
      </Link>
      {fields !== undefined && (
        <span className="row">
          <Mark status={fields.status} />
          <bdi>{said ?? String(fields.status ?? "no status")}</bdi>
        </span>
      )}
      <Output project={project} nodeId={nodeId} />
    </>
  );
}

const LINES = 4;

/** The last lines of a node's output, as they were when the page was opened. */
function Output({ project, nodeId }: { project: Project; nodeId: string }): ReactNode {
  const { http } = useHub();
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const query = { before: "end", type: "log", node_id: nodeId, limit: LINES };
    http.events(project.id, query, stop.signal).then(
      (page) => setLines(linesOf(page.events, nodeId)),
      // Without its output there is the question all the same.
      () => {},
    );
    return () => stop.abort();
  }, [http, project, nodeId]);
  if (lines.length === 0) return null;
  return (
    <ol className="inbox-output mono">
      {lines.map((line) => (
        <li key={line.seq}>
          <time>{clock(timeAt(line.timestamp))}</time> {shownText(line.message)}
        </li>
      ))}
    </ol>
  );
}
