import type { ReactNode } from "react";
import type { SearchHit } from "../../core/index.ts";
import { Link } from "../link.tsx";
import { at, clock, full } from "../time.ts";
import "./search.css";

interface HitsProps {
  readonly hits: readonly SearchHit[];
  readonly nameOf: (nodeId: string) => string;
  /** The address that a hit leads to. */
  readonly leadsTo: (hit: SearchHit) => string;
}

/** Events that match, each a link to where it happened. */
export function Hits({ hits, nameOf, leadsTo }: HitsProps): ReactNode {
  if (hits.length === 0) return null;
  return (
    <ul className="hits">
      {hits.map((hit) => (
        <li key={`${hit.epoch}:${hit.seq}`}>
          <Link href={leadsTo(hit)} className="hub-hit" data-listed="">
            <time title={full(at(hit.received))}>{clock(at(hit.received))}</time>
            <span className="muted ellipsis">
              {hit.node_id === null ? hit.type : <bdi>{nameOf(hit.node_id)}</bdi>}
            </span>
            <Excerpt pieces={hit.excerpt} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Text with what matches marked in it. */
function Excerpt({ pieces }: { pieces: readonly string[] }): ReactNode {
  return (
    <bdi className="mono ellipsis">
      {pieces.map((piece, n) => {
        const text = piece.replaceAll(/\s+/g, " ");
        return n % 2 === 1 ? <mark key={n}>{text}</mark> : <span key={n}>{text}</span>;
      })}
    </bdi>
  );
}
