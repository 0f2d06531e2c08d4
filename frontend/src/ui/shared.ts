/** Whether this page shows one project by a share link, and nothing else of the hub. */
import type { Hub } from "../core/index.ts";
import { useHub } from "../react/provider.tsx";

/** How the hub's subscription tokens begin. */
const OF_A_LINK = "tts_";

export function isOfALink(token: string | null): boolean {
  return token?.startsWith(OF_A_LINK) === true;
}

export function isShared(hub: Hub): boolean {
  return isOfALink(hub.http.token);
}

/** The node whose branch the link of this page shows; null: a whole project, or no link. */
export function branchOfALink(token: string | null): string | null {
  if (token === null || !isOfALink(token)) return null;
  const claims = token.slice(OF_A_LINK.length).split(".")[1] ?? "";
  try {
    const text = atob(claims.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const found: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const node = (found as { node_id?: unknown } | null)?.node_id;
    return typeof node === "string" ? node : null;
  } catch {
    return null; // the hub says what is wrong with it
  }
}

export function useBranch(): string | null {
  return branchOfALink(useHub().http.token);
}

export function useShared(): boolean {
  return isShared(useHub());
}
