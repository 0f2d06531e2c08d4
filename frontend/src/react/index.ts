export * from "./hooks.ts";
export { HubProvider, type HubProviderProps, useHub } from "./provider.tsx";
export * from "./websocket.ts";
