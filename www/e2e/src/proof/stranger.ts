// The package as a stranger gets it: the tarball, installed into a folder outside the checkout.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const packs = fileURLToPath(new URL("../../../../target/pack", import.meta.url));

export interface Stranger {
  /** The folder of the installed package. */
  readonly edge: string;
  leave(): Promise<void>;
}

export async function stranger(): Promise<Stranger> {
  const folder = await mkdtemp(join(tmpdir(), "conch-stranger-"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "stranger", private: true, type: "module" }));
  const quietly = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", ["install", ...quietly, await tarball()], { cwd: folder });
  return {
    edge: join(folder, "node_modules/conch-edge"),
    leave: () => rm(folder, { recursive: true, force: true }),
  };
}

async function tarball(): Promise<string> {
  const named = process.env.CONCH_TARBALL;
  if (named !== undefined) return named;
  const found = (await readdir(packs).catch(() => [])).find((name) => name.endsWith(".tgz"));
  if (found === undefined) throw new Error(`no tarball in ${packs}: run cargo xtask pack, or name it in CONCH_TARBALL`);
  return join(packs, found);
}
