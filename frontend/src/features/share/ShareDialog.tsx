import { type FormEvent, type ReactNode, useState } from "react";
import { HubError } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { usePlace, withQuery } from "../../ui/location.ts";
import { CopyLine } from "../../ui/parts.tsx";
import { at, full } from "../../ui/time.ts";

const LIFETIMES = [
  { seconds: 3_600, name: "an hour" },
  { seconds: 86_400, name: "a day" },
  { seconds: 604_800, name: "a week" },
] as const;

interface Made {
  readonly token: string;
  readonly token_id: string;
  readonly expires_at: string;
  readonly history: boolean;
}

interface ShareDialogProps {
  readonly projectId: string;
  readonly onClose: () => void;
}

/** Make a link that lets its holder watch this project until it expires, and do nothing else. */
export default function ShareDialog({ projectId, onClose }: ShareDialogProps): ReactNode {
  const hub = useHub();
  return (
    <Dialog label="Share this project" onClose={onClose}>
      <div className="stack dialog-body">
        <h2>Share this project</h2>
        {hub.http.token === null ? <NoTokens /> : <ShareForm projectId={projectId} />}
        <div>
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
        </div>
      </div>
    </Dialog>
  );
}

/** The hub asks for no token: a link could not hide the rest. */
function NoTokens(): ReactNode {
  return (
    <>
      <p className="notice c-review">
        This hub asks for no tokens: people who reach it see every project and can change all of them. A link
        for watching alone, with an end, needs <code>auth.secret</code> in the hub's settings.
      </p>
      <p className="muted">People who reach the hub can open this page by its address:</p>
      <CopyLine text={window.location.href} />
    </>
  );
}

function ShareForm({ projectId }: { projectId: string }): ReactNode {
  const { http } = useHub();
  const [lifetime, setLifetime] = useState<number>(LIFETIMES[1].seconds);
  const [history, setHistory] = useState(true);
  const node = usePlace().query.get("node");
  const [only, setOnly] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const [making, setMaking] = useState(false);
  const make = async (event: FormEvent) => {
    event.preventDefault();
    setMaking(true);
    setError(null);
    try {
      const part = only && node !== null ? { node_id: node } : {};
      const asked = { lifetime, history, ...part };
      setMade(await http.call<Made>("POST", `${http.project(projectId)}/tokens`, asked));
    } catch (reason) {
      setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
    }
    setMaking(false);
  };
  return (
    <>
      <p>
        People who have the link can watch this project until it ends: no other project, no answers, no
        commands.
        {node !== null && !only && " It leads to the node that is open here; the whole project can be seen."}
      </p>
      <form className="stack" onSubmit={(event) => void make(event)}>
        <label className="row">
          Valid for
          <select
            className="input"
            value={lifetime}
            onChange={(event) => setLifetime(Number(event.target.value))}
          >
            {LIFETIMES.map((one) => (
              <option key={one.seconds} value={one.seconds}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
        {node !== null && (
          <label className="row">
            <input type="checkbox" checked={only} onChange={(event) => setOnly(event.target.checked)} />
            Only this branch: the node that is open here and what is below it
          </label>
        )}
        <label className="row">
          <input type="checkbox" checked={history} onChange={(event) => setHistory(event.target.checked)} />
          With its past: earlier output and events, time travel{only ? "" : ", search"}
        </label>
        <div>
          <button type="submit" className="button primary" disabled={making}>
            Make a link
          </button>
        </div>
      </form>
      {error !== null && (
        <p className="notice c-failed" role="alert">
          {error.code === "forbidden"
            ? `Your token may not make links for this project (${error.message}). It needs a subject, watch, and history for the past.`
            : error.message}
        </p>
      )}
      {made !== null && (
        <div className="stack" role="status">
          <CopyLine text={window.location.origin + withQuery({ token: made.token })} />
          <span className="muted">
            Valid until {full(at(made.expires_at))}
            {made.history ? "" : ", without the past"}. An administrator can revoke it before, by its id:{" "}
            <code>{made.token_id}</code>
          </span>
        </div>
      )}
    </>
  );
}
