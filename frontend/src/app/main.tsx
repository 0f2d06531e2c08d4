import "../ui/base.css";
import "./app.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createHub } from "../core/index.ts";
import { HubProvider } from "../react/provider.tsx";
import { followKeys } from "../ui/keys.ts";
import { read } from "../ui/preference.ts";
import { followClock, followStatus } from "../ui/time.ts";
import { App } from "./App.tsx";
import { applyTheme } from "./theme.ts";
import { firstToken, shareToken } from "./token.ts";

applyTheme(read("theme") ?? "system");

const hub = createHub({
  token: firstToken(),
  exactIntegers: true,
  worker: () =>
    new SharedWorker(new URL("../core/worker.ts", import.meta.url), { type: "module", name: "tasktree_rt" }),
});

shareToken(hub);
followClock(hub.clock);
followStatus(hub.status);
followKeys();

// For the console, and for tests that compare what is shown with what the hub has.
Object.assign(window, { tasktree_rt: hub });

const root = document.getElementById("app");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <HubProvider hub={hub}>
        <App />
      </HubProvider>
    </StrictMode>,
  );
}
