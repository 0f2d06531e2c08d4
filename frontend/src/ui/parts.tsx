import { type ReactNode, useState } from "react";
import { CLASSES, classOf, type HubError, type StatusClass } from "../core/index.ts";
import { ago, full, useClock } from "./time.ts";

const MARKS: Record<StatusClass, ReactNode> = {
  waiting: (
    <circle
      cx="8"
      cy="8"
      r="5.5"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeDasharray="2.4 2.2"
    />
  ),
  running: (
    <>
      <circle cx="8" cy="8" r="5.5" fill="none" stroke="currentColor" strokeWidth="2" opacity="0.35" />
      <path d="M8 2.5a5.5 5.5 0 0 1 5.5 5.5" fill="none" stroke="currentColor" strokeWidth="2.4" />
      <circle cx="8" cy="8" r="2" fill="currentColor" />
    </>
  ),
  review: (
    <path
      d="M8 1.5l6.5 6.5L8 14.5 1.5 8z M8 5v3.4 M8 10.4v1"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
    />
  ),
  done: (
    <>
      <circle cx="8" cy="8" r="7" fill="currentColor" />
      <path d="M4.8 8.2l2.2 2.2 4.2-4.6" fill="none" stroke="var(--surface)" strokeWidth="1.9" />
    </>
  ),
  failed: (
    <>
      <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor" />
      <path d="M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" stroke="var(--surface)" strokeWidth="1.9" />
    </>
  ),
  cancelled: (
    <>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" />
      <path d="M4 12L12 4" stroke="currentColor" strokeWidth="2" />
    </>
  ),
};

/** Words with a shape of their own, in the colour of what they mean. */
const OWN_MARKS: Readonly<Record<string, ReactNode>> = {
  skipped: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" strokeWidth="1.4" />
      <path d="M4.6 5l3 3-3 3M8 5l3 3-3 3" fill="none" stroke="currentColor" strokeWidth="1.6" />
    </>
  ),
};

/** A status as a shape, which differs without colour too. */
export function Mark({ status }: { status: unknown }): ReactNode {
  const kind = classOf(status);
  const own = typeof status === "string" && Object.hasOwn(OWN_MARKS, status) ? OWN_MARKS[status] : undefined;
  return (
    <svg viewBox="0 0 16 16" className={`mark c-${kind}`} aria-hidden="true">
      {own ?? MARKS[kind]}
    </svg>
  );
}

export function Badge({ status }: { status: unknown }): ReactNode {
  const words = typeof status === "string" && status !== "" ? status : "no status";
  return (
    <span className={`badge c-${classOf(status)}`}>
      <Mark status={status} />
      <span>{words.replaceAll("_", " ")}</span>
    </span>
  );
}

export function Progress({ value, status }: { value: number; status: unknown }): ReactNode {
  const share = Math.min(100, Math.max(0, value));
  return (
    <span className={`bar c-${classOf(status)}`} role="img" aria-label={`${Math.round(share)} %`}>
      <i style={{ width: `${share}%` }} />
    </span>
  );
}

/** How many of each class, as one bar. One that failed, waits or runs is seen among any number of others. */
export function CountsBar({ counts }: { counts: Readonly<Partial<Record<StatusClass, number>>> }): ReactNode {
  const total = CLASSES.reduce((sum, one) => sum + (counts[one] ?? 0), 0);
  const shown = CLASSES.filter((one) => (counts[one] ?? 0) > 0);
  const words = shown.map((one) => `${counts[one]} ${one}`).join(", ");
  return (
    <span className="bar" role="img" aria-label={words === "" ? "nothing yet" : words} title={words}>
      {shown.map((one) => (
        <i key={one} className={`c-${one}`} style={{ width: `${((counts[one] ?? 0) / total) * 100}%` }} />
      ))}
    </span>
  );
}

const URGENT = ["failed", "review", "running"] as const satisfies readonly StatusClass[];

/** How many there are of what a person looks for; nothing of what there is none of. */
export function UrgentCounts({
  counts,
}: {
  counts: Readonly<Partial<Record<StatusClass, number>>>;
}): ReactNode {
  return URGENT.filter((one) => (counts[one] ?? 0) > 0).map((one) => (
    <span key={one} className={`count c-${one}`}>
      <Mark status={one} />
      {counts[one]?.toLocaleString()}
      <span className="hidden-text"> {one}</span>
    </span>
  ));
}

/** The bar, and the numbers that a person looks for. */
export function CountsLine({
  counts,
}: {
  counts: Readonly<Partial<Record<StatusClass, number>>>;
}): ReactNode {
  return (
    <span className="counts-line">
      <CountsBar counts={counts} />
      <UrgentCounts counts={counts} />
    </span>
  );
}

/** Counts by status as counts by what they mean. */
export function byClass(counts: Readonly<Record<string, number>> | undefined): Record<StatusClass, number> {
  const found = Object.fromEntries(CLASSES.map((one) => [one, 0])) as Record<StatusClass, number>;
  for (const [status, many] of Object.entries(counts ?? {})) found[classOf(status)] += many;
  return found;
}

export function Ago({ time }: { time: number | undefined }): ReactNode {
  const now = useClock();
  if (time === undefined || Number.isNaN(time)) return <span className="muted">–</span>;
  return <time title={full(time)}>{ago(time, now)}</time>;
}

/** A line to copy. */
export function CopyLine({ text }: { text: string }): ReactNode {
  return (
    <div className="command">
      <pre>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}

/** A page over plain http has no clipboard of its own: there the text is selected and copied as by hand. */
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" className="button" onClick={() => void copy()}>
      {copied ? "Copied" : label}
    </button>
  );
}

/** Nothing to show, and what to do next. `page`: it is all there is on the page. */
export function Empty({
  title,
  page,
  children,
}: {
  title: string;
  page?: boolean;
  children?: ReactNode;
}): ReactNode {
  return (
    <div className="empty">
      {page === true ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** What went wrong and how to go on. */
export function Failure({ error, again }: { error: HubError | Error; again?: () => void }): ReactNode {
  return (
    <div className="notice c-failed row wrap" role="alert">
      <span className="grow">{error.message}</span>
      {again !== undefined && (
        <button type="button" className="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Sparkline({ values, label }: { values: readonly number[]; label: string }): ReactNode {
  const most = Math.max(1, ...values);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((one, at) => `${(at * step).toFixed(1)},${(22 - (one / most) * 20).toFixed(1)}`);
  return (
    <svg className="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      {values.length > 1 && (
        <polyline points={points.join(" ")} fill="none" stroke="var(--accent)" strokeWidth="1.5" />
      )}
    </svg>
  );
}

export function Spinner({ label }: { label: string }): ReactNode {
  return (
    <p className="empty muted" role="status">
      {label}
    </p>
  );
}
