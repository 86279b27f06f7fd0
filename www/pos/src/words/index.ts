// The till's own words, in the language the shell speaks.
import { computed } from "@preact/signals";
import { catalogue, knowProblems } from "../../../shell/words/index.ts";
import { type Words, zhHant } from "./zh-Hant.ts";

export const words = catalogue<Words>(zhHant, async () => (await import("./en.ts")).en);

knowProblems(computed(() => words.value.problem));
