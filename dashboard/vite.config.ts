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
  test: { include: ["tests/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
