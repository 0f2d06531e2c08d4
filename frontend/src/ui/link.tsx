import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from "react";
import { go } from "./location.ts";

/** A link within the app; with a modifier key it is an ordinary one. */
export function Link({
  href,
  onClick,
  ...rest
}: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }): ReactNode {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
  };
  return <a href={href} onClick={follow} {...rest} />;
}

/** A link to somewhere that an event names: only http(s) is followed, whatever else it says is shown as text. */
export function OutsideLink({ href, children }: { href: string; children: ReactNode }): ReactNode {
  if (!/^https?:\/\//i.test(href)) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
