import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    include: ["e2e/**/*.test.ts"],
    globalSetup: "e2e/folders.ts",
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // Nothing is a matter of time here: a busy machine may take as long as it takes.
    expect: { poll: { timeout: 30_000 } },
    // Whoever shares the machine may starve a browser once; what fails twice is a fault.
    retry: process.env.CI ? 1 : 0,
    fileParallelism: true,
    maxWorkers: 2,
  },
});
