/** From a time to the position that it means. */
import { useCallback, useEffect, useRef, useState } from "react";
import { HubError, type Project, seqAt } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";

export interface Times {
  /** Look for the last event at a time or before it, and hand its seq on. Of two searches the later counts. */
  readonly find: (ms: number) => void;
  readonly looking: boolean;
  readonly error: HubError | null;
}

export function useTimes(project: Project, onSeq: (seq: number) => void): Times {
  const { http } = useHub();
  const [looking, setLooking] = useState(false);
  const [error, setError] = useState<HubError | null>(null);
  const stop = useRef<AbortController | null>(null);
  const latest = useRef(onSeq);
  latest.current = onSeq;
  useEffect(() => () => stop.current?.abort(), []);
  const find = useCallback(
    (ms: number) => {
      stop.current?.abort();
      const mine = new AbortController();
      stop.current = mine;
      setLooking(true);
      setError(null);
      const head = project.tree.position ?? { epoch: "", seq: 0 };
      seqAt(http, project.id, head, ms, mine.signal)
        .then((seq) => {
          if (mine.signal.aborted) return;
          setLooking(false);
          latest.current(seq);
        })
        .catch((reason) => {
          if (mine.signal.aborted) return;
          setLooking(false);
          setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
        });
    },
    [http, project],
  );
  return { find, looking, error };
}
