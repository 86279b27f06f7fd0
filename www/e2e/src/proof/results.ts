// What a long run found, for people and for the page about it.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** Where results and evidence of long runs lie. */
export const folder = join(process.env.CONCH_PROOF ?? join(root, "target/proof"));

/** A line for who waits. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes `<name>.json`, or the file `CONCH_RESULTS` names, with the machine it was measured on. */
export async function keep(name: string, found: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  const machine = { system: `${process.platform} ${release()}`, cores: cpus().length, node: process.version };
  const file = process.env.CONCH_RESULTS ?? join(folder, `${name}.json`);
  await writeFile(file, `${JSON.stringify({ ...found, at: new Date().toISOString(), machine }, null, 2)}\n`);
  say(`results in ${file}`);
}
