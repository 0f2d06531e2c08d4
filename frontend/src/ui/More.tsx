import { type ReactNode, useState, useSyncExternalStore } from "react";
import { Dialog } from "./Dialog.tsx";

const SMALL = "(max-width: 640px), (max-height: 480px)";

function subscribe(listener: () => void): () => void {
  const small = window.matchMedia(SMALL);
  small.addEventListener("change", listener);
  return () => small.removeEventListener("change", listener);
}

/** Whether there is little room: a phone, or a page that is zoomed far in. */
export function useSmall(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => window.matchMedia(SMALL).matches,
    () => false,
  );
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
