import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { createHub, type Hub, type HubOptions } from "../core/index.ts";

const HubContext = createContext<Hub | null>(null);

export interface HubProviderProps extends HubOptions {
  readonly children: ReactNode;
  /** A hub that was made elsewhere; then the other options are not looked at. */
  readonly hub?: Hub;
}

/**
 * Gives a hub to the hooks below it. The options count when it is first drawn; a later `token` is taken too. Where that is a
 * function, the newest one is asked, when the next token is needed.
 */
export function HubProvider({ children, hub, ...options }: HubProviderProps): ReactNode {
  const newest = useRef(options.token);
  newest.current = options.token;
  const ask = useCallback(() => {
    const source = newest.current;
    return typeof source === "function" ? source() : (source ?? "");
  }, []);
  const token = typeof options.token === "function" ? ask : options.token;
  const [made] = useState(() => hub ?? createHub(token === undefined ? options : { ...options, token }));
  useEffect(() => {
    if (token !== undefined) made.setToken(token);
  }, [made, token]);
  return <HubContext.Provider value={made}>{children}</HubContext.Provider>;
}

/** The hub of the nearest `HubProvider`. */
export function useHub(): Hub {
  const hub = useContext(HubContext);
  if (hub === null) throw new Error("there is no <HubProvider> above this component");
  return hub;
}
