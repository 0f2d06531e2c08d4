import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** Gives what asks for a drawing at the next frame; however often it is asked for, it is drawn once. */
export function useFrame(draw: () => void): () => void {
  const latest = useRef(draw);
  latest.current = draw;
  const due = useRef(0);
  useEffect(
    () => () => {
      cancelAnimationFrame(due.current);
      due.current = 0;
    },
    [],
  );
  return useCallback(() => {
    if (due.current !== 0) return;
    due.current = requestAnimationFrame(() => {
      due.current = 0;
      latest.current();
    });
  }, []);
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How large the inside of an element is, without its scroll bar; again when that changes. */
export function useSize(place: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const look = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const watch = new ResizeObserver(look);
    watch.observe(element);
    look();
    return () => watch.disconnect();
  }, [place]);
  return size;
}

/** Counts the changes between light and dark. */
export function useScheme(): number {
  const [times, setTimes] = useState(0);
  useEffect(() => {
    const changed = () => setTimes((one) => one + 1);
    const query = window.matchMedia("(prefers-color-scheme: dark)");
    query.addEventListener("change", changed);
    const watch = new MutationObserver(changed);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      query.removeEventListener("change", changed);
      watch.disconnect();
    };
  }, []);
  return times;
}
