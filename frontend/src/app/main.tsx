import "../ui/base.css";
import "./app.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createHub } from "../core/index.ts";
import { HubProvider } from "../react/provider.tsx";
import { read, write } from "../ui/preference.ts";
import { App } from "./App.tsx";
import { applyTheme } from "./theme.ts";

applyTheme(read("theme") ?? "system");

/** A token that came in the address is kept by this browser and taken out of the address. */
function token(): string | null {
  const here = new URL(window.location.href);
  const given = here.searchParams.get("token");
  if (given === null) return read("token");
  write("token", given);
  here.searchParams.delete("token");
  window.history.replaceState(null, "", here);
  return given;
}

const hub = createHub({
  token: token(),
  worker: () =>
    new SharedWorker(new URL("../core/worker.ts", import.meta.url), { type: "module", name: "tasktree_rt" }),
});

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
