/** Words of the address that a view goes by: kept when the view changes, and part of a link. */
import { useCallback } from "react";
import { go, usePlace, withQuery } from "./location.ts";

/** A word of the query; empty: it is not there. Setting it makes no step of the history. */
export function useWord(name: string): [string, (value: string) => void] {
  const value = usePlace().query.get(name) ?? "";
  const set = useCallback(
    (next: string) => go(withQuery({ [name]: next === "" ? null : next }), true),
    [name],
  );
  return [value, set];
}
