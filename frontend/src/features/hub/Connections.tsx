import { type ReactNode, useState } from "react";
import { type Fields, isObject, number, text } from "../../core/index.ts";
import { AskFirst } from "../../ui/AskFirst.tsx";
import { Failure } from "../../ui/parts.tsx";
import { bytes, count, duration } from "../../ui/time.ts";
import { useAsked, useDoing } from "./asked.ts";

const FILTERS = { user: "User", project: "Project", dialect: "Language", address: "Address" } as const;
type Name = keyof typeof FILTERS;
const NAMES = Object.keys(FILTERS) as Name[];
const SHOWN = 200;

interface Page {
  readonly connections: readonly Fields[];
  readonly matching: number;
}

/** The open connections: which ones fit a filter, and ending them. */
export function Connections(): ReactNode {
  const [given, setGiven] = useState<Partial<Record<Name, string>>>({});
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  const query = new URLSearchParams({ ...chosen, limit: `${SHOWN}` });
  const { found, error, again } = useAsked<Page>(`/admin/connections?${query}`);
  const doing = useDoing(again);
  const all = found?.connections ?? [];
  return (
    <section className="stack" aria-label="Connections">
      <h2>Connections</h2>
      <div className="row wrap">
        {NAMES.map((name) => (
          <input
            key={name}
            className="input"
            placeholder={FILTERS[name]}
            aria-label={`${FILTERS[name]} of connections`}
            value={given[name] ?? ""}
            onChange={({ target }) => setGiven({ ...given, [name]: target.value })}
          />
        ))}
        <span className="muted" role="status">
          {count(found?.matching ?? 0)} open
        </span>
        {Object.keys(chosen).length > 0 && (
          <AskFirst
            name="Disconnect all of these"
            question={`End ${count(found?.matching ?? 0)} connections?`}
            onYes={() => void doing.act("POST", "/admin/disconnect", chosen)}
          />
        )}
      </div>
      {error !== null && <Failure error={error} />}
      {doing.error !== null && <Failure error={doing.error} />}
      <div className="scroll" tabIndex={0} role="group" aria-label="Table of connections">
        <table className="plain">
          <thead>
            <tr>
              <th>Who</th>
              <th>Language</th>
              <th>Watches</th>
              <th className="num">For</th>
              <th className="num">Sent</th>
              <th className="num">Waiting</th>
              <th className="num">Shed</th>
              <th>Behind in</th>
              <th>End it</th>
            </tr>
          </thead>
          <tbody>
            {all.map((one) => (
              <Connection
                key={text(one, "connection_id")}
                one={one}
                onEnd={() =>
                  void doing.act("POST", "/admin/disconnect", { connection: text(one, "connection_id") })
                }
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Connection({ one, onEnd }: { one: Fields; onEnd: () => void }): ReactNode {
  const watched = Array.isArray(one.subscriptions) ? one.subscriptions.map(String) : [];
  const lagging = isObject(one.lagging) ? Object.keys(one.lagging) : [];
  return (
    <tr>
      <td title={text(one, "token_id")}>
        {text(one, "subject") || <span className="muted">no subject</span>}{" "}
        <span className="muted">{text(one, "address")}</span>
      </td>
      <td>{text(one, "dialect")}</td>
      <td>
        <bdi>{watched.slice(0, 3).join(", ")}</bdi>
        {watched.length > 3 && ` and ${watched.length - 3} more`}
      </td>
      <td className="num">{duration((number(one, "seconds") ?? 0) * 1000)}</td>
      <td className="num">
        {count(number(one, "sent_messages") ?? 0)}
        <br />
        <span className="muted">{bytes(number(one, "sent_bytes") ?? 0)}</span>
      </td>
      <td className="num">{count(number(one, "waiting_messages") ?? 0)}</td>
      <td className="num">{count(number(one, "sheds") ?? 0)}</td>
      <td>
        {lagging.length === 0 ? <span className="muted">nothing</span> : lagging.slice(0, 3).join(", ")}
      </td>
      <td>
        <AskFirst name="Disconnect" question="End this connection?" onYes={onEnd} />
      </td>
    </tr>
  );
}
