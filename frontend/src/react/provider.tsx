import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { createHub, type Hub, type HubOptions } from "../core/index.ts";

const HubContext = createContext<Hub | null>(null);

export interface HubProviderProps extends HubOptions {
  readonly children: ReactNode;
  /** A hub that was made elsewhere; then the other options are not looked at. */
  readonly hub?: Hub;
}

/** Gives a hub to the hooks below it. The options count when it is first drawn; a later `token` is taken too. */
export function HubProvider({ children, hub, ...options }: HubProviderProps): ReactNode {
  const [made] = useState(() => hub ?? createHub(options));
  const token = options.token;
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
