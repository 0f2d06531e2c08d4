import type { ReactNode } from "react";
import { message, title } from "../../ui/nodes.ts";
import { Badge } from "../../ui/parts.tsx";
import { clock, duration } from "../../ui/time.ts";
import type { Scene } from "./paint.ts";
import type { Pointed } from "./pointing.ts";
import { until } from "./summary.ts";

const WIDE = 300;

/** What a bar is, beside the pointer. The row says the same to people who cannot point. */
export function Tip({
  pointed: { place, attempt, x, y },
  scene,
}: {
  pointed: Pointed;
  scene: Scene;
}): ReactNode {
  const { survey, now, path } = scene;
  const node = survey.fields(place);
  const fields = attempt?.fields ?? node;
  const [from, to] =
    attempt === null
      ? [survey.from[place]!, survey.to[place]!]
      : [attempt.started ?? Number.NaN, attempt.ended ?? attempt.started ?? Number.NaN];
  const usual = survey.usual(place);
  const left = x + 14 + WIDE > window.innerWidth ? Math.max(4, x - WIDE - 10) : x + 14;
  const up = y > window.innerHeight * 0.7;
  return (
    <div
      className="gantt-tip card"
      aria-hidden="true"
      style={{ left, maxWidth: WIDE, ...(up ? { bottom: window.innerHeight - y + 10 } : { top: y + 14 }) }}
    >
      <bdi className="gantt-tip-title">{title(survey.ids[place] ?? "", node)}</bdi>
      {attempt !== null && <span>attempt {attempt.number}</span>}
      <span className="row wrap">
        <Badge status={fields?.status} />
        {Number.isNaN(from) ? "no times of its own" : duration(until(from, to, now) - from)}
      </span>
      {!Number.isNaN(from) && (
        <span className="muted">
          {clock(from)} – {to === Number.POSITIVE_INFINITY ? "now" : clock(to)}
        </span>
      )}
      {usual !== null && (
        <span className="muted">
          of its kind half take {duration(usual.p50)}, 95 % at most {duration(usual.p95)}
        </span>
      )}
      {attempt === null && path.has(place) && <span className="muted">on the critical path</span>}
      {message(fields) !== undefined && (
        <bdi className="gantt-tip-said">{message(fields)?.slice(0, 300)}</bdi>
      )}
    </div>
  );
}
