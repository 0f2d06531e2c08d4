import { type FormEvent, type ReactNode, useState } from "react";
import { useReadable } from "../react/hooks.ts";
import { useHub } from "../react/provider.tsx";
import { isShared } from "../ui/shared.ts";

/** The hub wants a token, or another one; or it lets this page in with none. */
export function TokenPage(): ReactNode {
  const hub = useHub();
  const socket = useReadable(hub.status);
  const list = useReadable(hub.rows.status);
  const refused = socket.kind === "refused" ? socket : list.kind === "refused" ? list : null;
  if (refused?.code === 403) {
    return (
      <div className="empty">
        <h1>This hub does not let this page in</h1>
        <p className="muted">The hub said: {refused.reason}. Its administrator can change that.</p>
        <div>
          <button type="button" className="button primary" onClick={() => window.location.reload()}>
            Try again
          </button>
        </div>
      </div>
    );
  }
  if (isShared(hub)) {
    return (
      <div className="empty">
        <h1>This link is not valid any more</h1>
        <p className="muted">It has expired, or the hub has another key. Its sender can make another one.</p>
      </div>
    );
  }
  return (
    <div className="empty">
      <h1>{refused?.code === 4001 ? "This hub asks for a token" : "This hub refuses the token"}</h1>
      <p className="muted">
        {refused !== null && refused.reason !== "" ? `It said: ${refused.reason}. ` : ""}
        The hub's administrator gives you one. It stays in this browser.
      </p>
      <TokenForm />
    </div>
  );
}

/** Where a token is given. This browser keeps it once the hub has accepted it. */
export function TokenForm(): ReactNode {
  const hub = useHub();
  const [token, setToken] = useState("");
  const save = (event: FormEvent) => {
    event.preventDefault();
    hub.setToken(token.trim());
  };
  return (
    <form className="stack" onSubmit={save}>
      <label className="stack">
        Token
        <textarea
          className="input mono"
          rows={4}
          required
          autoComplete="off"
          spellCheck={false}
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      <div>
        <button type="submit" className="button primary">
          Use this token
        </button>
      </div>
    </form>
  );
}
