import type { ReactNode } from "react";
import { attempts, type Fields, isEnded, spentOf, text } from "../../core/index.ts";
import { Link } from "../../ui/link.tsx";
import { withQuery } from "../../ui/location.ts";
import { message } from "../../ui/nodes.ts";
import { Badge } from "../../ui/parts.tsx";
import { count, duration, full, useNow } from "../../ui/time.ts";
import { Spending } from "../../ui/usage.tsx";

/** How often a node was tried: each attempt with its duration, what it said, and its own log. */
export function Attempts({ fields }: { fields: Fields }): ReactNode {
  const now = useNow();
  const all = attempts(fields);
  if (all.length < 2) return null;
  const before = (all[0]?.number ?? 1) - 1;
  return (
    <section className="stack" aria-label="Attempts">
      <h3>{count(all.at(-1)?.number ?? all.length)} attempts</h3>
      {before > 0 && (
        <p className="muted">
          The first {before > 1 ? count(before) : ""} {before > 1 ? "are" : "is"} not kept.
        </p>
      )}
      <ol className="attempts">
        {all.map(({ number, started, ended, fields: own, present }) => {
          const going = present && started !== undefined && ended === undefined && !isEnded(own.status);
          return (
            <li key={number} {...(present ? { "aria-current": "true" as const } : {})}>
              <span className="row wrap">
                <strong>{number}</strong>
                <Badge status={text(own, "status")} />
                {started !== undefined && (
                  <span className="muted" title={full(started)}>
                    {going ? "for " : ""}
                    {duration((ended ?? (going ? now : Number.NaN)) - started)}
                  </span>
                )}
                <Used fields={own} />
                {started !== undefined && (
                  <Link href={withQuery({ tab: "log", attempt: String(number), line: null })}>Its log</Link>
                )}
              </span>
              {message(own) !== undefined && <bdi className="attempts-said">{message(own)}</bdi>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

/** Tokens and cost of one attempt; the present one's fields have those of the ended ones beside. */
function Used({ fields }: { fields: Fields }): ReactNode {
  const used = spentOf({ usage: fields.usage, cost_usd: fields.cost_usd });
  return used === null ? null : <Spending spent={used} />;
}
