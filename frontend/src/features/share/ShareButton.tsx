import { lazy, type ReactNode, Suspense, useState } from "react";

const ShareDialog = lazy(() => import("./ShareDialog.tsx"));

/** Opens the dialog that makes a share link. */
export function ShareButton({ projectId }: { projectId: string }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="button" onClick={() => setOpen(true)}>
        Share
      </button>
      {open && (
        <Suspense>
          <ShareDialog projectId={projectId} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
