// The gate's own words, in the language the shell speaks.
import { catalogue } from "../../../shell/words/index.ts";
import { type Words, zhHant } from "./zh-Hant.ts";

export const words = catalogue<Words>(zhHant, async () => (await import("./en.ts")).en);
