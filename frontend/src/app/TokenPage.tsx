import { type FormEvent, type ReactNode, useState } from "react";
import { useReadable } from "../react/hooks.ts";
import { useHub } from "../react/provider.tsx";
import { write } from "../ui/preference.ts";

/** The hub wants a token, or another one. */
export function TokenPage(): ReactNode {
  const hub = useHub();
  const status = useReadable(hub.status);
  const [token, setToken] = useState("");
  const save = (event: FormEvent) => {
    event.preventDefault();
    const given = token.trim();
    write("token", given);
    hub.setToken(given);
  };
  return (
    <form className="empty" onSubmit={save}>
      <h1>This hub asks for a token</h1>
      <p className="muted">
        {status.kind === "refused" && status.reason !== "" ? `It said: ${status.reason}. ` : ""}
        Whoever runs the hub gives you one. It stays in this browser.
      </p>
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
