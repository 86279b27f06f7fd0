// The package as a stranger gets it: the tarball, installed into a folder outside the checkout.
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "vite";

const here = fileURLToPath(new URL("..", import.meta.url));
const packs = fileURLToPath(new URL("../../../target/pack", import.meta.url));

/** A folder with the package, the pages as they stand in `sites/`, and as Vite builds those with bare imports, in `built/`. */
export async function install(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "conch-packed-"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "stranger", private: true, type: "module" }));
  const quietly = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", ["install", ...quietly, await tarball()], { cwd: folder });
  await cp(join(here, "sites"), join(folder, "sites"), { recursive: true });
  const input = ["vite/index.html", "worker/index.html", "worker/module.js"].map((path) => join(folder, "sites", path));
  await build({
    root: join(folder, "sites"),
    base: "./",
    configFile: false,
    logLevel: "error",
    build: {
      outDir: join(folder, "built"),
      emptyOutDir: true,
      modulePreload: { polyfill: false },
      // A worker's address must not change with its contents.
      rolldownOptions: {
        input,
        output: { entryFileNames: ({ name }) => (name === "module" ? "worker/module.js" : "[name]-[hash].js") },
      },
    },
  });
  return folder;
}

export function uninstall(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}

async function tarball(): Promise<string> {
  const named = process.env.CONCH_TARBALL;
  if (named !== undefined) return named;
  const found = (await readdir(packs).catch(() => [])).find((name) => name.endsWith(".tgz"));
  if (found === undefined) throw new Error(`no tarball in ${packs}: run cargo xtask pack, or name it in CONCH_TARBALL`);
  return join(packs, found);
}
