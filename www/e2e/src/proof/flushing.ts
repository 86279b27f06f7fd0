// npm run flushes: whether a flush comes before each word of safety, in each engine, and that the look can fail.
import { engines } from "./browser.js";
import { allFlushed, cannotWatch, type Seen, watch } from "./flushes.js";
import { keep, say } from "./results.js";

const skipped = await cannotWatch();
if (skipped !== null) {
  say(`skipped: ${skipped}`);
  await keep("flushes", { skipped });
} else {
  const runs: Seen[] = [];
  const wrong: string[] = [];
  for (const engine of engines) {
    for (const durability of ["strict", "relaxed"] as const) {
      const seen = await watch(engine, durability);
      runs.push(seen);
      for (const { step, calls, flushed, strict, medianMs } of seen.steps) {
        say(
          `${engine} ${durability}: ${flushed} of ${calls} ${step} after a flush, median ${medianMs} ms, ${strict} asked strict`,
        );
      }
      const expected = durability === "strict";
      if (allFlushed(seen) !== expected) wrong.push(`${engine} ${durability}`);
      // Each kind of call must ask for it, and the control must fail for each, or the look could not see what it is for.
      const blind = seen.steps.some(
        ({ calls, flushed, strict }) => strict < calls || (!expected && flushed > calls / 2),
      );
      if (blind) wrong.push(`what ${engine} ${durability} shows`);
    }
  }
  await keep("flushes", { passed: wrong.length === 0, runs });
  if (wrong.length > 0) throw new Error(`not as it must be: ${wrong.join(", ")}`);
}
