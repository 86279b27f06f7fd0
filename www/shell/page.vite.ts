// How both pages are built: one bundle under the page's own path, and a worker that knows every file of it.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin, UserConfig } from "vite";

const WORKER = "worker.js";

/** Writes the finished files, each with its digest, into the worker: a captive portal cannot poison the cache. */
function shellList(page: string, outDir: string): Plugin {
  return {
    name: "conch-shell-list",
    apply: "build",
    writeBundle: {
      order: "post",
      sequential: true,
      handler() {
        const files = readdirSync(outDir, { recursive: true, withFileTypes: true })
          // Of the icons only the page's own is shown without network; the system keeps the installed ones itself.
          .filter((entry) => entry.isFile() && entry.name !== WORKER && !entry.name.endsWith(".png"))
          .map((entry) => join(entry.parentPath, entry.name))
          .sort()
          .map((file) => ({
            path: relative(outDir, file).split(sep).join("/"),
            integrity: `sha256-${createHash("sha256").update(readFileSync(file)).digest("base64")}`,
          }));
        const worker = join(outDir, WORKER);
        const source = readFileSync(worker, "utf8");
        const version = createHash("sha256").update(source).update(JSON.stringify(files)).digest("hex").slice(0, 16);
        writeFileSync(
          worker,
          source.replace("__SHELL__", () => JSON.stringify({ page, version, files })),
        );
      },
    },
  };
}

/** Vite preloads what a chunk needs before it imports the chunk. Ours need nothing, so its code for that stays out of the pages. */
function plainImports(): Plugin {
  return {
    name: "conch-plain-imports",
    apply: "build",
    enforce: "pre",
    load: {
      filter: { id: /vite\/preload-helper/ },
      handler: () => "export const __vitePreload = (load) => load();",
    },
    writeBundle(_, bundle) {
      // A style sheet among them would never come.
      const needy = Object.values(bundle).find(
        (part) => part.type === "chunk" && part.code.includes("__vite__mapDeps"),
      );
      if (needy !== undefined)
        this.error(`${needy.fileName} imports a chunk that needs others: preload them, or join them`);
    },
  };
}

export function page(name: "scanner" | "pos" | "ops"): UserConfig {
  const outDir = fileURLToPath(new URL(`../dist/${name}`, import.meta.url));
  return {
    base: `/${name}/`,
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      // Inlined assets would be data: addresses, which the policy allows for images only.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: {
        input: {
          index: fileURLToPath(new URL(`../${name}/index.html`, import.meta.url)),
          worker: fileURLToPath(new URL("./worker.ts", import.meta.url)),
        },
        output: {
          // The worker's address must never change, and its place decides its scope.
          entryFileNames: (chunk) => (chunk.name === "worker" ? WORKER : "assets/[name]-[hash].js"),
        },
      },
    },
    optimizeDeps: { exclude: ["conch-edge"] },
    server: { proxy: { "/v1": "http://127.0.0.1:8787" } },
    plugins: [plainImports(), shellList(name, outDir)],
  };
}
