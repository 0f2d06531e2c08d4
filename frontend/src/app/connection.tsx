import type { ReactNode } from "react";
import type { Status } from "../core/index.ts";
import { useReadable } from "../react/hooks.ts";
import { useHub } from "../react/provider.tsx";
import { projectOf, usePlace } from "../ui/location.ts";
import { useBranch } from "../ui/shared.ts";
import { clock, duration, useClock } from "../ui/time.ts";

const SUMMARISED_FOR = 5_000;

interface Words {
  readonly tone: string;
  readonly text: string;
  /** What is left out where there is little room. */
  readonly besides?: string;
  readonly wait?: boolean;
}

/** How the connection is, in words and colour. */
export function ConnectionPill(): ReactNode {
  const hub = useHub();
  const socket = useReadable(hub.status);
  const list = useReadable(hub.rows.status);
  const project = projectOf(usePlace().path);
  const status = known(shown(socket, list, project !== null && hub.watching), useBranch());
  const { tone, text, besides, wait } = words(status, project, useClock() - hub.clock.get());
  return (
    <span className={`pill c-${tone}`} role="status">
      <span>
        {text}
        {besides !== undefined && <span className="roomy">{besides}</span>}
      </span>
      {wait === true && (
        <button type="button" className="pill-now" onClick={() => hub.wake()}>
          now
        </button>
      )}
    </span>
  );
}

/** A clock that is off by less than this is nothing to tell of. */
const OFF = 5_000;

/** That this device's clock is wrong, and by how much: people compare what they read here with it. */
export function ClockNotice(): ReactNode {
  const offset = useReadable(useHub().clock);
  if (Math.abs(offset) < OFF) return null;
  // As exact as people look at clocks, and steady.
  const unit = Math.abs(offset) < 60_000 ? 1_000 : 60_000;
  const off = Math.round(Math.abs(offset) / unit) * unit;
  return (
    <p className="notice c-review clock-notice" role="status">
      This device's clock is {duration(off)} {offset < 0 ? "ahead of" : "behind"} the hub's. Times and
      durations here go by the hub's clock.
    </p>
  );
}

/** Of the two connections the one that this page lives by; a refusal of either is a refusal of the page. */
function shown(socket: Status, list: Status, watching: boolean): Status {
  if (socket.kind === "refused") return socket;
  if (list.kind === "refused") return list;
  return watching ? socket : list;
}

/** Readers of a branch get summaries for what is elsewhere in its project: these do not say that they are slow. */
function known(status: Status, branch: string | null): Status {
  return branch === null || status.kind !== "live" ? status : { ...status, summarised: null };
}

function words(status: Status, project: string | null, now: number): Words {
  switch (status.kind) {
    case "live":
      if (project !== null && status.late.includes(project))
        return { tone: "failed", text: "behind the hub: asking again" };
      return live(status, now);
    case "connecting":
      return { tone: "waiting", text: "connecting …" };
    case "offline":
      return { tone: "failed", text: `offline${stale(status.lost)}` };
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((status.until - now) / 1000));
      return { tone: "review", text: `reconnecting in ${seconds} s${stale(status.lost)}`, wait: true };
    }
    case "refused":
      return { tone: "failed", text: refused(status.code) };
    case "closed":
      return { tone: "waiting", text: "closed" };
  }
}

function live(status: Extract<Status, { kind: "live" }>, now: number): Words {
  if (status.summarised !== null && now - status.summarised < SUMMARISED_FOR) {
    return { tone: "review", text: "behind: summarised" };
  }
  if (status.behind === null) return { tone: "done", text: "live" };
  const behind =
    status.behind < 100 ? `${Math.max(1, Math.round(status.behind))} ms` : duration(status.behind);
  if (status.behind > 2000) return { tone: "review", text: `live, ${behind} behind` };
  return { tone: "done", text: "live", besides: `, ${behind} behind` };
}

function refused(code: number): string {
  if (code === 403) return "not allowed";
  return code === 4001 ? "a token is needed" : "the token was refused";
}

function stale(lost: number | null): string {
  return lost === null ? "" : ` · stale since ${clock(lost)}`;
}
