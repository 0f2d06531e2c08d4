/** What happens around a page that matters to its connection. */

/** Whatever makes another attempt worthwhile: the machine is online again, the page is looked at again. */
export function followWorld(
  wake: () => void,
  gone: () => void,
  seen: (visible: boolean) => void,
): () => void {
  if (typeof window === "undefined") return () => {};
  const visible = () => {
    const now = document.visibilityState === "visible";
    seen(now);
    if (now) wake();
  };
  // Where there are no locks (a page over plain http) this is how a worker learns that a page is gone.
  const hide = ({ persisted }: PageTransitionEvent) => {
    if (!persisted) gone();
  };
  seen(document.visibilityState === "visible");
  window.addEventListener("pagehide", hide);
  window.addEventListener("online", wake);
  window.addEventListener("offline", wake);
  document.addEventListener("visibilitychange", visible);
  return () => {
    window.removeEventListener("pagehide", hide);
    window.removeEventListener("online", wake);
    window.removeEventListener("offline", wake);
    document.removeEventListener("visibilitychange", visible);
  };
}
