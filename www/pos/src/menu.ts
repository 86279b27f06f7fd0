// Keeps the stall's menu fresh: asked for when the city is there, kept in the till's own book for when it is not.
import { askMarket } from "../../shell/city.ts";
import { nudgedOrAfter, rung } from "../../shell/events.ts";
import type { Identity } from "../../shell/identity.ts";
import { signedOut } from "../../shell/leaving.ts";
import { limits as shared } from "../../shell/limits.ts";
import { keepMarket } from "./desk.ts";
import { limits } from "./limits.ts";
import { readMarket } from "./market.ts";

/** Asks once. False when nobody answered, so that it is worth asking again soon. */
async function ask(place: string): Promise<boolean> {
  const answer = await askMarket();
  if (answer.kind === "away" || answer.kind === "refused") return false;
  if (signedOut.value) return true;
  // A city without a market says so, and then there is no menu any more.
  await keepMarket(readMarket(answer.kind === "found" ? answer.value : null, place, Date.now()));
  return true;
}

export async function keepMenu(me: Identity): Promise<never> {
  for (let step = 0; ; step += 1) {
    if (!(await ask(me.place).catch(() => false))) {
      await nudgedOrAfter(rung(shared.askAgainMs, step));
      continue;
    }
    step = 0;
    // A nudge is no reason to ask again: prices do not change with every sale.
    const due = Date.now() + limits.marketAgainMs;
    while (Date.now() < due) await nudgedOrAfter(due - Date.now());
  }
}
