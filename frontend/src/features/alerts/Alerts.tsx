import { type ReactNode, useEffect, useRef } from "react";
import { classOf, promptKey, type ShownRow } from "../../core/index.ts";
import { useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { byClass } from "../../ui/parts.tsx";
import { usePreference } from "../../ui/preference.ts";

/** Opt in to notifications on the desktop, and by the tab's badge, when something fails or waits for a person. */
export function Alerts(): ReactNode {
  const [on, setOn] = usePreference("alerts", "off");
  const able = typeof Notification !== "undefined";
  const toggle = async () => {
    if (on === "on") return setOn("off");
    setOn("on");
    // Without the permission the title still tells.
    if (able) await Notification.requestPermission();
  };
  return (
    <>
      <button
        type="button"
        className="button plain icon"
        aria-pressed={on === "on"}
        aria-label="Tell me when something fails or waits for me"
        title="Tell me when something fails or waits for me"
        onClick={() => void toggle()}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path
            d="M3.5 11.5V7a4.5 4.5 0 0 1 9 0v4.5l1 1h-11zM6.5 14h3"
            fill={on === "on" ? "currentColor" : "none"}
            stroke="currentColor"
            strokeWidth="1.5"
          />
        </svg>
      </button>
      {on === "on" && <Watch />}
    </>
  );
}

/** What there was when the page was last looked at, and what came since. */
function Watch(): ReactNode {
  const hub = useHub();
  const rows = useReadable(hub.rows);
  const { open } = useReadable(hub.prompts);
  const failures = useRef(new Map<string, number>());
  const asked = useRef<ReadonlySet<string> | null>(null);
  const unseen = useRef(0);

  useEffect(() => {
    for (const row of rows.byId.values()) {
      const failed = failuresOf(row);
      const before = failures.current.get(row.project_id);
      failures.current.set(row.project_id, failed);
      if (before === undefined || failed <= before) continue;
      unseen.current += failed - before;
      tell(
        `Failed in ${row.title ?? row.project_id}`,
        `${failed} ${failed === 1 ? "node" : "nodes"} failed`,
        row.project_id,
      );
    }
    badge(unseen.current + open.length);
  }, [rows, open]);

  useEffect(() => {
    for (const prompt of open) {
      if (asked.current === null || asked.current.has(promptKey(prompt))) continue;
      tell("Waiting for you", prompt.message, promptKey(prompt));
    }
    asked.current = new Set(open.map(promptKey));
  }, [open]);

  useEffect(() => {
    const seen = () => {
      if (document.visibilityState !== "visible") return;
      unseen.current = 0;
      badge(asked.current?.size ?? 0);
    };
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      badge(0);
    };
  }, []);
  return null;
}

function failuresOf(row: ShownRow): number {
  return byClass(row.counts).failed + (classOf(row.state) === "failed" ? 1 : 0);
}

function tell(title: string, body: string, tag: string): void {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  if (document.visibilityState === "visible") return;
  new Notification(title, { body, tag, icon: "/static/icon.svg" });
}

/** The number stands before the page's title. */
function badge(count: number): void {
  const plain = document.title.replace(/^\(\d+\) /, "");
  document.title = count > 0 ? `(${count}) ${plain}` : plain;
}
