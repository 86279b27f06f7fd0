// npm run kills: hundreds of kills, in each engine and context. Options are variables, so that one seed replays a run.
import { type Engine, engines } from "./browser.js";
import { type Context, contexts, type Found, kill } from "./kills.js";
import { keep, say } from "./results.js";

const KILLS: Record<Engine, number> = { chromium: 100, firefox: 30 };

/** Few enough that no device comes to the 50,000 events whose intents it keeps. */
const KILLS_A_PROFILE = 10;

const KILL_AFTER_MS = [1, 1_000] as const;

const { CONCH_SEED, CONCH_KILLS, CONCH_ONLY = "" } = process.env;
const seed = Number(CONCH_SEED ?? Date.now() % 2 ** 31);
const all = engines.flatMap((engine) => contexts.map((context): [Engine, Context] => [engine, context]));
const chosen = all.filter((names) => names.join(" ").includes(CONCH_ONLY));
if (chosen.length === 0) throw new Error(`CONCH_ONLY=${CONCH_ONLY} names none of ${all.map((one) => one.join(" "))}`);

say(`seed ${seed}: CONCH_SEED=${seed} draws the same moments again`);
const runs: Found[] = [];
for (const [engine, context] of chosen) {
  const began = Date.now();
  const timed = (line: string): void =>
    say(`${String(Math.round((Date.now() - began) / 1_000)).padStart(4)} s  ${line}`);
  runs.push(
    await kill({
      engine,
      context,
      kills: Number(CONCH_KILLS ?? KILLS[engine]),
      killsAProfile: KILLS_A_PROFILE,
      seed,
      killAfterMs: KILL_AFTER_MS,
      say: timed,
    }),
  );
}
for (const run of runs) say(JSON.stringify(run));
const broken = runs.flatMap(({ broken }) => broken ?? []);
await keep(CONCH_ONLY === "" ? "kills" : `kills-${CONCH_ONLY.replaceAll(" ", "-")}`, { seed, broken, runs });
if (broken.length > 0) throw new Error(broken.join("\n"));
