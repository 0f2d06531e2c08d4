/** The token of this browser: where it comes from, when it is kept, and how tabs share it. */
import type { Hub } from "../core/index.ts";
import { read, write } from "../ui/preference.ts";
import { isOfALink, isShared } from "../ui/shared.ts";

const QUESTION =
  "This link brings a token of its own. Use it in place of the token that this browser keeps? What you do here is then done in its name.";

/**
 * The token that the address brings along, which is taken out of it; else the one that this browser keeps. A link must not
 * turn a person into another one unnoticed: if the browser keeps another token, the person is asked.
 */
export function firstToken(): string | null {
  const here = new URL(window.location.href);
  const given = here.searchParams.get("token");
  const kept = ofThisTab() ?? read("token");
  if (given === null) return kept;
  here.searchParams.delete("token");
  window.history.replaceState(null, "", here);
  // The token of a share link stays in this tab, so it replaces none.
  const link = isOfALink(given);
  if (!link && kept !== null && kept !== given && !window.confirm(QUESTION)) return kept;
  keepForThisTab(link ? given : null);
  return given;
}

const OF_A_TAB = "tasktree_rt.share";

/** The token of the share link that this tab was opened with: no other tab is to have it. */
function ofThisTab(): string | null {
  try {
    return window.sessionStorage.getItem(OF_A_TAB);
  } catch {
    return null;
  }
}

function keepForThisTab(token: string | null): void {
  try {
    if (token === null) window.sessionStorage.removeItem(OF_A_TAB);
    else window.sessionStorage.setItem(OF_A_TAB, token);
  } catch {
    // A browser that stores nothing asks for the link again after a reload.
  }
}

/**
 * Keep a token once the hub has accepted it, so that a bad one spoils no later tab; and take the one that another tab got
 * accepted when this tab's own is refused.
 */
export function shareToken(hub: Hub): void {
  const keep = () => {
    const accepted = hub.rows.status.get().kind === "live" || hub.status.get().kind === "live";
    const { token } = hub.http;
    if (accepted && token !== null && !isOfALink(token) && token !== read("token")) write("token", token);
  };
  hub.rows.status.subscribe(keep);
  hub.status.subscribe(keep);
  window.addEventListener("storage", () => {
    const token = read("token");
    const refused = hub.rows.status.get().kind === "refused" || hub.status.get().kind === "refused";
    if (refused && token !== null && !isShared(hub) && token !== hub.http.token) hub.setToken(token);
  });
}
