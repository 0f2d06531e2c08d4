import { defineConfig } from "vite";

export default defineConfig({
  // Whatever NODE_ENV says: the development runtime would write the paths of this machine into the package.
  oxc: { jsx: { runtime: "automatic", development: false } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    minify: false,
    target: "es2022",
    lib: {
      entry: {
        core: "src/core/index.ts",
        react: "src/react/index.ts",
        tasktree: "src/tasktree/index.ts",
        worker: "src/core/worker.ts",
      },
      formats: ["es"],
    },
    rollupOptions: { external: /^react($|\/)/ },
  },
});
