import { useCallback, useEffect, useRef, useState } from "react";
import { HubError, type Large } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";
import { usePast } from "../../ui/past.ts";

export type Fetched =
  | { readonly kind: "waiting" }
  | { readonly kind: "loaded"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: HubError };

const WAITING: Fetched = { kind: "waiting" };
/** The newest values that were opened: who goes to another node and back does not ask again. */
const KEPT = 16;
const kept = new Map<string, unknown>();

function keep(key: string, value: unknown): void {
  kept.delete(key);
  kept.set(key, value);
  for (const oldest of [...kept.keys()].slice(0, Math.max(0, kept.size - KEPT))) kept.delete(oldest);
}

/** The value, once `opened`; `again` asks once more after a failure. */
export function useField(
  projectId: string,
  nodeId: string,
  name: string,
  { digest }: Large,
  opened: boolean,
): { readonly found: Fetched; readonly again: () => void } {
  const { http } = useHub();
  const at = usePast()?.at;
  const key = `${projectId}\n${nodeId}\n${name}\n${digest}`;
  const [state, setState] = useState<{ readonly key: string; readonly found: Fetched }>({
    key: "",
    found: WAITING,
  });
  const [tries, setTries] = useState(0);
  const place = useRef(at);
  place.current = at;
  const settle = useCallback((found: Fetched) => setState({ key, found }), [key]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another try asks again
  useEffect(() => {
    if (!opened || kept.has(key)) return;
    const stop = new AbortController();
    http.field(projectId, nodeId, name, place.current, stop.signal).then(
      (value) => {
        keep(key, value);
        settle({ kind: "loaded", value });
      },
      (error: unknown) => {
        if (stop.signal.aborted) return;
        settle({
          kind: "failed",
          error: error instanceof HubError ? error : new HubError("internal", String(error)),
        });
      },
    );
    return () => stop.abort();
  }, [http, projectId, nodeId, name, key, opened, settle, tries]);
  const again = useCallback(() => {
    settle(WAITING);
    setTries((count) => count + 1);
  }, [settle]);
  if (kept.has(key)) return { found: { kind: "loaded", value: kept.get(key) }, again };
  return { found: state.key === key ? state.found : WAITING, again };
}
