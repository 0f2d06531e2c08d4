import { type ReactNode, useEffect } from "react";
import { type Fields, number, type Project, type Spent, type TreeStore, text, texts } from "../core/index.ts";
import { ShareButton } from "../features/share/ShareButton.tsx";
import { Triage } from "../features/triage/Triage.tsx";
import { useReadable, useTreeNode } from "../react/hooks.ts";
import { ProjectCommands } from "../ui/commands/ProjectCommands.tsx";
import { Link, OutsideLink } from "../ui/link.tsx";
import { usePlace } from "../ui/location.ts";
import { title } from "../ui/nodes.ts";
import { Badge } from "../ui/parts.tsx";
import { seriesAddress } from "../ui/projects.ts";
import { useBranch, useShared } from "../ui/shared.ts";
import { Spending } from "../ui/usage.tsx";

function useTop(tree: TreeStore) {
  return useReadable({ subscribe: tree.subscribe, get: () => tree.get().top });
}

/** What a project is called, how it is, and which of its nodes need a look. */
export function ProjectHead({ project, tree }: { project: Project; tree: TreeStore }): ReactNode {
  const top = useTop(tree);
  const { query } = usePlace();
  const shared = useShared();
  const named = text(top.project, "title") ?? text(top.project, "name");
  const branch = useBranch();
  const root = useTreeNode(tree, branch ?? "");
  const name = named ?? (branch === null ? project.id : title(branch, root?.fields));
  const url = text(top.project, "url");
  const waiting = top.prompts.length;
  useEffect(() => {
    document.title = `${name} · tasktree_rt`;
    return () => {
      document.title = "tasktree_rt";
    };
  }, [name]);
  return (
    <div className="project-head">
      <h1 className="ellipsis">
        <bdi>{name}</bdi>
      </h1>
      {top.state !== null && <Badge status={top.state} />}
      <Triage tree={tree} selected={query.get("node")} />
      <Used tree={tree} />
      {!shared && tree === project.tree && <ProjectCommands project={project} state={top.state} />}
      {!shared && <ShareButton projectId={project.id} />}
      {waiting > 0 && <Questions waiting={waiting} shared={shared} />}
      {text(top.orchestrator ?? undefined, "status") !== undefined && (
        <span className="chip">orchestrator {text(top.orchestrator ?? undefined, "status")}</span>
      )}
      {!shared && <Series project={project} fields={top.project} />}
      {text(top.project, "group") !== undefined && <bdi className="chip">{text(top.project, "group")}</bdi>}
      {texts(top.project, "labels")
        .slice(0, 6)
        .map((one) => (
          <bdi key={one} className="chip">
            {one}
          </bdi>
        ))}
      {url !== undefined && <OutsideLink href={url}>source</OutsideLink>}
    </div>
  );
}

/** The job of which this is a run. */
function Series({ project, fields }: { project: Project; fields: Fields }): ReactNode {
  const series = text(fields, "series");
  if (series === undefined || series === "") return null;
  const run = number(fields, "run") === undefined ? text(fields, "run") : `#${number(fields, "run")}`;
  return (
    <Link href={seriesAddress(series, project.id)} className="chip" title="All runs of this series">
      <bdi>
        {series}
        {run !== undefined && ` ${run}`}
      </bdi>
    </Link>
  );
}

function Questions({ waiting, shared }: { waiting: number; shared: boolean }): ReactNode {
  const words = `${waiting} open ${waiting === 1 ? "question" : "questions"}`;
  if (shared) return <span className="badge c-review">{words}</span>;
  return (
    <Link href="/inbox" className="badge c-review">
      {words}
    </Link>
  );
}

/** Tokens and cost of the whole run. */
function Used({ tree }: { tree: TreeStore }): ReactNode {
  const words = useReadable({
    subscribe: tree.subscribe,
    get: () => JSON.stringify(tree.get().shape.spent),
  });
  const used = JSON.parse(words) as Spent | null;
  return used === null ? null : <Spending spent={used} className="chip" />;
}
