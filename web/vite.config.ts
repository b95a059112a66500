import { fileURLToPath } from "node:url";
import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [solid()],
  resolve: {
    // The client's source, so that the page needs no build of it first.
    alias: { "@tidewire/client": here("../clients/typescript/src/index.ts") },
  },
  build: {
    target: "es2022",
    // The server's Content-Security-Policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true } },
  },
  test: {
    dir: here(".."),
    include: ["clients/typescript/test/**/*.test.ts", "web/tests/unit/**/*.test.ts"],
    environment: "node",
  },
});
