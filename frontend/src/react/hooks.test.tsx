import { act, render, renderHook, screen } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { beforeEach, expect, it } from "vitest";
import { createHub, type Engine, type EngineEvents, type Hub, type Told } from "../core/index.ts";
import { HubProvider, useConnection, useNode, useProject, useTree } from "./index.ts";

let events: EngineEvents;
let watched: string[];
let hub: Hub;

const make = (given: EngineEvents): Engine => {
  events = given;
  return {
    events,
    watch: (topic) => void watched.push(topic),
    unwatch: () => {},
    ask: async () => ({}),
    setToken: () => {},
    refresh: async () => {},
    wake: () => {},
    seen: () => {},
    close: () => {},
  };
};

beforeEach(() => {
  watched = [];
  hub = createHub({ url: "http://hub", engine: make, schedule: (run) => run() });
});

const within = ({ children }: { children: ReactNode }) => (
  <StrictMode>
    <HubProvider hub={hub}>{children}</HubProvider>
  </StrictMode>
);

let drawn = 0;
function Row({ id }: { id: string }) {
  drawn += 1;
  return <p>{String(useNode("p", id)?.fields.title)}</p>;
}

function Page() {
  return <p>{useProject("p").loading.kind}</p>;
}

let seq = 0;
function say(id: string, changes: Record<string, unknown>): void {
  seq += 1;
  const event = {
    type: "node_update",
    project_id: "p",
    data: { node_id: id, changes },
    timestamp: "",
    seq,
    epoch: "e",
  };
  const told: Told = { kind: "event", topic: "p", event };
  act(() => events.told([told]));
}

it("a node is drawn again only when it is another", () => {
  drawn = 0;
  render(<Row id="a" />, { wrapper: ({ children }) => <HubProvider hub={hub}>{children}</HubProvider> });
  say("a", { title: "Alpha" });
  screen.getByText("Alpha");
  const before = drawn;
  for (let n = 0; n < 50; n += 1) say("b", { progress: n });
  expect(drawn).toBe(before);
  say("a", { title: "Beta" });
  expect(drawn).toBe(before + 1);
});

it("under StrictMode a project is watched once, and components share it", () => {
  const { result } = renderHook(() => [useTree("p"), useProject("p"), useConnection()] as const, {
    wrapper: within,
  });
  say("a", { title: "Alpha" });
  expect(result.current[0].nodes.get("a")).toEqual({ title: "Alpha" });
  expect(result.current[1].loading.kind).toBe("ready");
  expect(watched).toEqual(["p"]);
});

it("on a server it renders what it knows: nothing yet", () => {
  expect(renderToString(within({ children: <Page /> }))).toBe("<p>loading</p>");
});

it("an id that no project can have is an error state, and nothing is watched for it", () => {
  const { result } = renderHook(() => useProject("%").loading, { wrapper: within });
  expect(result.current).toMatchObject({ kind: "refused", error: { code: "invalid_project_id" } });
  const { result: user } = renderHook(() => useProject("@ada").loading, { wrapper: within });
  expect(user.current).toMatchObject({ kind: "refused" });
  expect(watched).toEqual([]);
});

it("a project that was refused is asked for again when it is asked to, or with another token", () => {
  const { result } = renderHook(() => useProject("p").loading, { wrapper: within });
  const refuse = () =>
    act(() => events.told([{ kind: "refused", topic: "p", code: "forbidden", message: "no" }]));
  refuse();
  expect(result.current).toMatchObject({ kind: "refused", error: { code: "forbidden" } });
  act(() => hub.retry("p"));
  expect(result.current).toEqual({ kind: "loading" });
  refuse();
  act(() => hub.setToken("better"));
  expect(result.current).toEqual({ kind: "loading" });
  expect(watched).toEqual(["p", "p", "p"]);
});
