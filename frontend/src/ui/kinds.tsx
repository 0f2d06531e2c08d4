import type { ReactNode } from "react";

const line = (d: string) => (
  <path
    d={d}
    fill="none"
    stroke="currentColor"
    strokeWidth="1.5"
    strokeLinecap="round"
    strokeLinejoin="round"
  />
);

const ICONS: Readonly<Record<string, ReactNode>> = {
  llm: line("M2.5 3h11v8h-6l-3 2.6V11h-2z M5.5 6h5 M5.5 8.3h3"),
  tool: line(
    "M10.2 2.2a3.6 3.6 0 0 0-3.4 4.9L2.4 11.5l2.1 2.1 4.4-4.4a3.6 3.6 0 0 0 4.6-4.6L11.3 6.8 9.2 4.700z",
  ),
  agent: line("M3 6h10v7.500h-10z M8 6V3 M8 2.300v.1 M6 9v1 M10 9v1 M1.5 9v2 M14.5 9v2"),
  retriever: line("M7 2.500a4.5 4.5 0 1 0 .01 0z M10.3 10.300l3.4 3.4"),
  embedding: line("M3 3v.1 M8 3v.1 M13 3v.1 M3 8v.1 M8 8v.1 M13 8v.1 M3 13v.1 M8 13v.1 M13 13v.1"),
  chain: line("M6.5 9.500l3-3 M7 5l1.5-1.500a2.5 2.5 0 0 1 4 4L11 9 M9 11l-1.5 1.500a2.5 2.5 0 0 1-4-4L5 7"),
  task: line("M2.5 2.500h11v11h-11z M5 8l2 2 4-4.5"),
};

/** What kind of node it is, for kinds that have a picture; nothing for others. */
export function KindIcon({ kind }: { kind: string | undefined }): ReactNode {
  const icon = kind === undefined || !Object.hasOwn(ICONS, kind) ? undefined : ICONS[kind];
  if (icon === undefined) return null;
  return (
    <svg viewBox="0 0 16 16" className="kind" role="img" aria-label={kind}>
      <title>{kind}</title>
      {icon}
    </svg>
  );
}
