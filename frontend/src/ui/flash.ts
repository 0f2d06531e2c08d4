/** Rows that just changed say so once. */
import { type RefObject, useEffect, useRef } from "react";
import { type Fields, own, type TreeStore } from "../core/index.ts";

const LONG = 1_500;

function still(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Flash once when the status or the message of a node is another; not when another tree is shown, or for whom it is too much. */
export function useFlash(
  line: RefObject<HTMLElement | null>,
  tree: TreeStore,
  fields: Fields | undefined,
): void {
  const before = useRef({ tree, fields });
  useEffect(() => {
    const { tree: of, fields: was } = before.current;
    before.current = { tree, fields };
    if (of !== tree || was === fields || was === undefined || fields === undefined) return;
    const other = ["status", "message"].some((name) => own(was, name) !== own(fields, name));
    if (!other || still()) return;
    // Drawn by the browser alone: nothing of it is worked out here for each frame.
    line.current?.animate([{ backgroundColor: "var(--flash)" }, {}], { duration: LONG, easing: "ease-out" });
  }, [line, tree, fields]);
}
