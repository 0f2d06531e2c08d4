import { useCallback, useState } from "react";

/** Something this browser remembers. What cannot be stored is kept for as long as the page is open. */
export function usePreference(name: string, initial: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => read(name) ?? initial);
  const set = useCallback(
    (next: string) => {
      setValue(next);
      write(name, next);
    },
    [name],
  );
  return [value, set];
}

const key = (name: string) => `tasktree_rt.${name}`;

export function read(name: string): string | null {
  try {
    return window.localStorage.getItem(key(name));
  } catch {
    return null;
  }
}

export function write(name: string, value: string | null): void {
  try {
    if (value === null) window.localStorage.removeItem(key(name));
    else window.localStorage.setItem(key(name), value);
  } catch {
    // A browser that stores nothing forgets at the next visit; nothing else is lost.
  }
}
