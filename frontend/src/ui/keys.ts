/** The keys of the page: whatever is shown adds its own, and the list of keys shows those that do something now. */
import { type RefObject, useEffect, useRef } from "react";
import { Cell } from "../core/index.ts";

export interface Key {
  /** As it is shown and compared: `n`, `/`, `Ctrl+K`. */
  readonly key: string;
  readonly does: string;
  readonly run: () => void;
}

/** The keys that do something now. Of two with one name the later is meant. */
export const KEYS = new Cell<readonly Key[]>([]);

/** A key that does something for as long as the component is there and `run` is not null. */
export function useKey(key: string, does: string, run: (() => void) | null): void {
  const latest = useRef(run);
  latest.current = run;
  const on = run !== null;
  useEffect(() => {
    if (!on) return;
    const mine = { key, does, run: () => latest.current?.() };
    KEYS.set([...KEYS.get(), mine]);
    return () => KEYS.set(KEYS.get().filter((one) => one !== mine));
  }, [key, does, on]);
}

/** What was pressed, as keys are named here; null: nothing that can be one. */
function nameOf(event: KeyboardEvent): string | null {
  if (event.defaultPrevented || event.isComposing || event.altKey) return null;
  const held = event.ctrlKey || event.metaKey;
  if (!held && isTyping(event.target)) return null;
  // A dialog has the keys for itself.
  if (document.querySelector("dialog[open]") !== null) return null;
  return held ? `Ctrl+${event.key.toUpperCase()}` : event.key;
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function pressed(event: KeyboardEvent): void {
  const name = nameOf(event);
  const meant = name === null ? undefined : KEYS.get().findLast((one) => one.key === name);
  if (meant === undefined) return;
  event.preventDefault();
  meant.run();
}

/** The search of the page: `/` leads to it. */
export function useSearchKey(): RefObject<HTMLInputElement | null> {
  const field = useRef<HTMLInputElement>(null);
  useKey("/", "search", () => {
    field.current?.focus();
    field.current?.select();
  });
  return field;
}

/** The things of a list that a page shows: rows, cards, questions. */
const LISTED = "[data-listed]";

/** Move the focus to the next thing of the page's list, or to the one before. */
function move(by: 1 | -1): void {
  const all = [...document.querySelectorAll<HTMLElement>(LISTED)].filter((one) => one.offsetParent !== null);
  const at = all.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
  const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
  all[to]?.focus();
}

/** `j` and `k` on every page that has a list. */
export function useListKeys(): void {
  useKey("j", "the next row", () => move(1));
  useKey("k", "the row before", () => move(-1));
}

/** Listen to the keys; once for the page. */
export function followKeys(): () => void {
  window.addEventListener("keydown", pressed);
  return () => window.removeEventListener("keydown", pressed);
}
