import { type ReactNode, useCallback, useState, useSyncExternalStore } from "react";
import { Dialog } from "./Dialog.tsx";
import { usePlace } from "./location.ts";

const SMALL = "(max-width: 640px), (max-height: 480px)";
/** The same beside an open panel. */
const BESIDE = "(max-width: 1100px), (max-height: 480px)";

function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const found = window.matchMedia(query);
      found.addEventListener("change", listener);
      return () => found.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(
    subscribe,
    () => window.matchMedia(query).matches,
    () => false,
  );
}

/** Whether a view has little room: on a phone, on a page that is zoomed far in, or beside a node's panel. */
export function useSmall(): boolean {
  return useMedia(usePlace().query.has("node") ? BESIDE : SMALL);
}

interface MoreProps {
  /** What the sheet is called. */
  readonly label: string;
  /** How many of the things within are on. */
  readonly on?: number;
  readonly children: ReactNode;
}

/** What a toolbar has besides: beside the rest of it, and where there is little room in a sheet of its own. */
export function More({ label, on = 0, children }: MoreProps): ReactNode {
  const small = useSmall();
  const [open, setOpen] = useState(false);
  if (!small) return children;
  return (
    <>
      <button type="button" className="button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        More{on > 0 && ` (${on})`}
      </button>
      {open && (
        <Dialog label={label} sheet onClose={() => setOpen(false)}>
          <div className="sheet">
            {children}
            <button type="button" className="button primary sheet-done" onClick={() => setOpen(false)}>
              Done
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
