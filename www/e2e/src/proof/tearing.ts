// npm run torn: every kind of torn log, with the new log that saves the outbox and without it.
import { keep, say } from "./results.js";
import { ends, isHealed, records, type Seen, tear } from "./torn.js";

const runs: Seen[] = [];
const wrong: string[] = [];
for (const record of records) {
  for (const end of ends) {
    for (const heals of [true, false]) {
      const seen = await tear({ record, end, heals });
      runs.push(seen);
      const { acknowledged, lost, tornMs, aheadMs, corruption, alarm } = seen;
      const left =
        tornMs === null
          ? "went on with the torn log"
          : `left the torn log after ${tornMs} ms, ${aheadMs} ms before the first safe event`;
      const told = corruption === null ? "nothing said" : "corruption said";
      const name = `head of a ${record} record, then ${end}, ${heals ? "with" : "without"} a new log`;
      say(`${name}: ${lost} of ${acknowledged} lost, ${left}, ${told}, alarm ${alarm}`);
      // Without a new log it must be lost, or nothing was shown.
      if (isHealed(seen) !== heals || (!heals && lost === 0)) wrong.push(name);
    }
  }
}
await keep("torn", { passed: wrong.length === 0, runs });
if (wrong.length > 0) throw new Error(`not as it must be: ${wrong.join("; ")}`);
