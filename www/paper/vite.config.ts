// Two sheets to print, which need no script, no network and no phone.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  base: "/paper/",
  build: {
    outDir: fileURLToPath(new URL("../dist/paper", import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0,
  },
});
