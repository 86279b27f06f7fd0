import type { Words } from "./letters.zh-Hant.ts";

export const en: Words = {
  empty: "Nothing needs attention.",
  refused: "The city did not accept this one.",
  poison: "The city could not read this one.",
  expired: "Kept too long without an answer.",
  redrive: "Send again",
  discard: "Give up",
  discardAsk: "Really give this up? It will never be sent. Why?",
  reasons: { mistake: "Entered by mistake", handled: "Settled another way" },
  back: "Keep it",
  failed: "That did not work:",
  sale: "Sale",
  scan: "Scan",
};
