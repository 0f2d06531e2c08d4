/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const hub = process.env.HUB ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../tasktree_rt/web/static/app",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  worker: { format: "es" },
  preview: { proxy: { "/api": hub, "/ws": { target: hub, ws: true }, "/docs": hub, "/static": hub } },
  server: {
    proxy: {
      "/api": hub,
      "/ws": { target: hub, ws: true },
      "/docs": hub,
      "/static": hub,
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["test/setup.ts"],
    // Nothing is a matter of time here: a busy machine may take as long as it takes.
    testTimeout: 60_000,
  },
});
