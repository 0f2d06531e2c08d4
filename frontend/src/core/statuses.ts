/** What a status means, whatever word an orchestrator has for it. */
export type StatusClass = "waiting" | "running" | "review" | "done" | "failed" | "cancelled";

export const CLASSES: readonly StatusClass[] = [
  "running",
  "review",
  "failed",
  "waiting",
  "done",
  "cancelled",
];

const WORDS = new Map<string, StatusClass>();
const ALL: Record<StatusClass, string> = {
  waiting:
    "draft ready pending queued unclaimed up_next planned planning incomplete todo backlog created scheduled blocked waiting",
  running: "running in_progress started active working agent_running spawned executing retrying merging",
  review: "review in_review waiting_for_input needs_review queued_for_merge paused awaiting_approval",
  done: "completed complete done merged success succeeded passed finished ok skipped",
  failed: "failed error errored timeout timed_out crashed failure broken damaged lost",
  cancelled: "cancelled canceled aborted terminated stopped",
};
for (const one of CLASSES) for (const word of ALL[one].split(" ")) WORDS.set(word, one);

/** The class of a status; an unknown word is `waiting`. */
export function classOf(status: unknown): StatusClass {
  return (typeof status === "string" ? WORDS.get(status.toLowerCase()) : undefined) ?? "waiting";
}

/** Whether a word says that something runs, or waits to run; an unknown one says nothing. */
export function beginsAgain(status: unknown): boolean {
  const found = typeof status === "string" ? WORDS.get(status.toLowerCase()) : undefined;
  return found === "running" || found === "waiting";
}

/** Whether nothing more is expected of it. */
export function isEnded(status: unknown): boolean {
  const found = classOf(status);
  return found === "done" || found === "failed" || found === "cancelled";
}
