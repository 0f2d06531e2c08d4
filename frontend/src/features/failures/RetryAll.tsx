import { type ReactNode, useState } from "react";
import { HubError } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { AskFirst } from "../../ui/AskFirst.tsx";
import { useAvailable, whyNot } from "../../ui/commands/available.ts";
import { count } from "../../ui/time.ts";

/** Ask the orchestrator to try every one of these nodes again, one after the other; the first refusal ends it. */
export function RetryAll({ projectId, ids }: { projectId: string; ids: readonly string[] }): ReactNode {
  const hub = useHub();
  const [sent, setSent] = useState<number | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const [sending, setSending] = useState(false);
  const found = useAvailable(projectId);
  const why = whyNot(found);
  const known = found?.commands.find((one) => one.name === "retry");
  const retry = async () => {
    setSending(true);
    setError(null);
    let done = 0;
    try {
      for (const nodeId of ids) {
        await hub.command(projectId, { name: "retry", nodeId });
        done += 1;
        setSent(done);
      }
    } catch (reason) {
      setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
    }
    setSending(false);
  };
  if (found === null || (known === undefined && !found.any && found.listening > 0)) return null;
  return (
    <div className="row wrap">
      <AskFirst
        name={`Retry all failed (${count(ids.length)})`}
        question={`Try ${count(ids.length)} ${ids.length === 1 ? "node" : "nodes"} again?`}
        disabled={sending || why !== null}
        onYes={() => void retry()}
      />
      {why !== null && <span className="muted">{why}</span>}
      {sent !== null && (
        <span className="muted" role="status">
          {count(sent)} of {count(ids.length)} sent
        </span>
      )}
      {error !== null && (
        <p className="notice c-failed" role="alert">
          {error.code === "no_orchestrator"
            ? "No orchestrator takes commands for this project at the moment."
            : error.message}
        </p>
      )}
    </div>
  );
}
