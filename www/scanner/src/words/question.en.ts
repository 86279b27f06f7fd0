import type { Words } from "./question.zh-Hant.ts";

export const en: Words = {
  turnAwayAsk: "They did not go in. Why?",
  letInAsk: "Does a supervisor let them in? It is put on record.",
  letInSure: "Yes, let them in",
  turnedAway: {
    id: "No ID, or another person",
    item: "Something not allowed",
    left: "Left by themselves",
    mistake: "My mistake",
  },
  back: "Back",
};
