import { type FormEvent, type ReactNode, useState } from "react";
import { type Fields, isObject, text } from "../../core/index.ts";
import { AskFirst } from "../../ui/AskFirst.tsx";
import { Failure } from "../../ui/parts.tsx";
import { useAsked, useDoing } from "./asked.ts";

const DAY = 86_400;

/** API keys and revocations, for administrators. */
export function Access(): ReactNode {
  return (
    <>
      <Keys />
      <Revocations />
    </>
  );
}

function Keys(): ReactNode {
  const { found, error, again } = useAsked<{ keys: readonly Fields[] }>("/admin/keys");
  const doing = useDoing(again);
  const [made, setMade] = useState<string | null>(null);
  const create = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const answer = await doing.act("POST", "/admin/keys", keyOf(new FormData(form)));
    if (answer === null) return;
    setMade(String(answer.key));
    form.reset();
  };
  return (
    <section className="stack" aria-label="API keys">
      <h2>API keys</h2>
      <form className="row wrap" onSubmit={(event) => void create(event)}>
        <input className="input" name="name" required placeholder="Name" aria-label="Name of the key" />
        <input className="input" name="watch" placeholder="Watch: build-*" aria-label="Projects to watch" />
        <input className="input" name="push" placeholder="Push: build-*" aria-label="Projects to push to" />
        <input
          className="input"
          name="days"
          type="number"
          min="1"
          placeholder="Days"
          aria-label="Days it is valid"
        />
        <label className="row">
          <input type="checkbox" name="admin" /> Administrator
        </label>
        <button type="submit" className="button">
          Make a key
        </button>
      </form>
      {made !== null && (
        <p className="notice c-review" role="status">
          The key, shown this once: <code>{made}</code>
        </p>
      )}
      {error !== null && <Failure error={error} />}
      {doing.error !== null && <Failure error={doing.error} />}
      <div className="scroll" tabIndex={0} role="group" aria-label="Table of API keys">
        <table className="plain">
          <thead>
            <tr>
              <th>Key</th>
              <th>May</th>
              <th>Last used</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {(found?.keys ?? []).map((key) => (
              <tr key={text(key, "id")}>
                <td>
                  {text(key, "name")} <span className="muted mono">{text(key, "id")}</span>
                </td>
                <td>{isObject(key.grants) ? mayOf(key.grants) : ""}</td>
                <td>{moment(text(key, "used")) ?? "never"}</td>
                <td>
                  {text(key, "revoked") !== undefined ? (
                    <span className="muted">revoked {moment(text(key, "revoked"))}</span>
                  ) : (
                    <span className="row wrap">
                      {text(key, "expires") !== undefined && `until ${moment(text(key, "expires"))}`}
                      <AskFirst
                        name="Revoke"
                        question={`Revoke ${text(key, "name")}?`}
                        onYes={() => void doing.act("DELETE", `/admin/keys/${text(key, "id")}`)}
                      />
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function keyOf(given: FormData): Fields {
  const patterns = (name: string) =>
    String(given.get(name) ?? "")
      .split(/[\s,]+/)
      .filter((one) => one !== "");
  const days = Number(given.get("days"));
  return {
    name: given.get("name"),
    grants: { watch: patterns("watch"), push: patterns("push"), admin: given.get("admin") !== null },
    ...(days > 0 ? { expires_in: Math.round(days * DAY) } : {}),
  };
}

function mayOf(grants: Fields): string {
  const verbs = Object.entries(grants).flatMap(([verb, value]) => {
    if (value === true) return [verb];
    return Array.isArray(value) && value.length > 0 ? [`${verb} ${value.join(", ")}`] : [];
  });
  return verbs.join("; ");
}

function moment(time: string | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toLocaleString();
}

function Revocations(): ReactNode {
  const { found, error, again } = useAsked<{ revocations: readonly Fields[]; total: number }>(
    "/admin/revocations",
  );
  const doing = useDoing(again);
  const [kind, setKind] = useState<"user" | "token_id">("user");
  const [name, setName] = useState("");
  return (
    <section className="stack" aria-label="Revocations">
      <h2>Revocations</h2>
      <div className="row wrap">
        <select
          className="input"
          aria-label="What to revoke"
          value={kind}
          onChange={({ target }) => setKind(target.value === "user" ? "user" : "token_id")}
        >
          <option value="user">All tokens of a user</option>
          <option value="token_id">One token, by its id</option>
        </select>
        <input
          className="input"
          aria-label="User or token id"
          placeholder={kind === "user" ? "User" : "Token id (jti)"}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <AskFirst
          name="Revoke now"
          question={`Revoke ${name}?`}
          disabled={name === ""}
          onYes={() => void doing.act("POST", "/admin/revoke", { [kind]: name })}
        />
      </div>
      {error !== null && <Failure error={error} />}
      {doing.error !== null && <Failure error={doing.error} />}
      {found?.revocations.length === 0 && <p className="muted">Nothing is revoked.</p>}
      <ul>
        {(found?.revocations ?? []).map((one) => (
          <li key={`${text(one, "user")} ${text(one, "token_id")}`}>
            {text(one, "user") === undefined ? `token ${text(one, "token_id")}` : `user ${text(one, "user")}`}
            <span className="muted">, before {moment(text(one, "before"))}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
