import { defineConfig } from "vite";

/** `npm run dev` passes calls on to a service: STEPLINE_HTTP=127.0.0.1:7425. */
const service = `http://${process.env.STEPLINE_HTTP ?? "127.0.0.1:7425"}`;

export default defineConfig({
  build: {
    outDir: "../ingest/stepline_ingest/dashboard/static",
    emptyOutDir: true,
    target: "es2022",
    // Everything is a file of its own: the page's policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/stepline.v1.": service, "/healthz": service },
  },
  // The times only end what hangs: a busy machine takes seconds to load a module.
  test: { include: ["tests/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
