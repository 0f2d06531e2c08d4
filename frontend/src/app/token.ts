/** The token of this browser: where it comes from, when it is kept, and how tabs share it. */
import type { Hub } from "../core/index.ts";
import { read, write } from "../ui/preference.ts";

/** The token that the address brings along, which is taken out of it; else the one that this browser keeps. */
export function firstToken(): string | null {
  const here = new URL(window.location.href);
  const given = here.searchParams.get("token");
  if (given === null) return read("token");
  here.searchParams.delete("token");
  window.history.replaceState(null, "", here);
  return given;
}

/**
 * Keep a token once the hub has accepted it, so that a bad one spoils no later tab; and take the one that another tab got
 * accepted when this tab's own is refused.
 */
export function shareToken(hub: Hub): void {
  const keep = () => {
    const accepted = hub.rows.status.get().kind === "live" || hub.status.get().kind === "live";
    const { token } = hub.http;
    if (accepted && token !== null && token !== read("token")) write("token", token);
  };
  hub.rows.status.subscribe(keep);
  hub.status.subscribe(keep);
  window.addEventListener("storage", () => {
    const token = read("token");
    const refused = hub.rows.status.get().kind === "refused" || hub.status.get().kind === "refused";
    if (refused && token !== null && token !== hub.http.token) hub.setToken(token);
  });
}
