import { useCallback, useEffect, useState } from "react";
import { HubError } from "../../core/index.ts";
import { useHub } from "../../react/provider.tsx";

const EVERY = 2_000;

interface Asked<T> {
  readonly found: T | null;
  readonly error: HubError | null;
  /** Ask again now. */
  readonly again: () => void;
}

/** What a GET of the hub's API answers, asked anew every two seconds while it is looked at. */
export function useAsked<T>(path: string): Asked<T> {
  const hub = useHub();
  const [asked, setAsked] = useState<{ found: T | null; error: HubError | null }>({
    found: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const found = await hub.http.call<T>("GET", path, undefined, stop.signal);
        setAsked({ found, error: null });
      } catch (reason) {
        if (stop.signal.aborted) return;
        const error = asHubError(reason);
        setAsked((there) => ({ ...there, error }));
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void look(), EVERY);
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [hub, path, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { ...asked, again };
}

interface Doing {
  readonly error: HubError | null;
  /** Do something at the hub; true if it did. */
  readonly act: (method: string, path: string, body?: unknown) => Promise<Record<string, unknown> | null>;
}

/** Requests that change something; the newest one's error is kept. */
export function useDoing(done: () => void): Doing {
  const hub = useHub();
  const [error, setError] = useState<HubError | null>(null);
  const act = async (method: string, path: string, body?: unknown) => {
    try {
      const found = await hub.http.call<Record<string, unknown>>(method, path, body);
      setError(null);
      done();
      return found;
    } catch (reason) {
      setError(asHubError(reason));
      return null;
    }
  };
  return { error, act };
}

export function asHubError(reason: unknown): HubError {
  return reason instanceof HubError ? reason : new HubError("internal", String(reason));
}
