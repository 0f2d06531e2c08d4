import { type ReactNode, useCallback } from "react";
import { go, usePlace, withQuery } from "../../ui/location.ts";
import { LogPane } from "../../ui/log/LogPane.tsx";
import { title } from "../../ui/nodes.ts";
import type { ViewProps } from "../../ui/view.ts";
import "./runlog.css";

const EVERYTHING = () => true;

/** The output of the whole run, in order, each line with its node. */
export default function LogView({ project, projectId, tree, onSelect }: ViewProps): ReactNode {
  const line = usePlace().query.get("line") ?? "";
  const nameOf = useCallback((id: string) => title(id, tree.node(id)), [tree]);
  return (
    <div className="run-log">
      <LogPane
        project={project}
        scope={EVERYTHING}
        name={projectId}
        wanted={/^\d{1,15}$/.test(line) ? Number(line) : null}
        nameOf={nameOf}
        onName={(seq) => go(withQuery({ line: String(seq) }), true)}
        onNode={onSelect}
      />
    </div>
  );
}
