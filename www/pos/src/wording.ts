// The words of a sale on the screen: where it stands, what that means, what its lines are called.
import { language, wordsOfError, wordsOfProblem } from "../../shell/words/index.ts";
import type { Named } from "./cart.ts";
import type { Sale, Standing } from "./sale.ts";
import { doubt, failures } from "./till.ts";
import { refundsOf } from "./told.ts";
import { words } from "./words/index.ts";

export function wordOf(standing: Standing): string {
  const say = words.value;
  if (standing === "not-saved") return say.notSaved;
  return standing === "given-up" ? say.givenUp : say[standing];
}

/** The word of a sale: also that some of its money goes back. */
export function wordOfSale(sale: Sale, standing: Standing): string {
  return standing === "paid" && refundsOf(sale.key).length > 0 ? words.value.refunded : wordOf(standing);
}

export function hintOf(sale: Sale, standing: Standing): string {
  const say = words.value;
  const code = doubt.value.failed.get(sale.key);
  switch (standing) {
    case "saving":
      return say.savingHint;
    case "saved":
      if (sale.arrived) return say.arrivedHint;
      return sale.resumed ? say.resumed : say.savedHint;
    case "unknown":
      return code === undefined ? say.unknownHint : `${wordsOfError(code)} ${say.uncertainHint}`;
    case "paid":
      return say.paidHint;
    case "promised":
      return say.promisedHint;
    case "attention":
      return wordsOfProblem(sale.reason) ?? (failures.value.includes(sale) ? say.failedHint : say.attentionHint);
    case "not-saved":
      return `${wordsOfError(code ?? "fault")} ${say.notSavedHint}`;
    case "given-up":
      return say.givenUpHint;
  }
}

export function nameOf(name: Named | null): string {
  return name === null ? words.value.typedLine : name[language.value];
}

/** Date and time, for what is looked at on another day. */
export function momentOf(at: number): string {
  const locale = language.value === "en" ? "en-GB" : "zh-TW";
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(at);
}
