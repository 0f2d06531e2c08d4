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

export function useShared(): boolean {
  return isShared(useHub());
}
