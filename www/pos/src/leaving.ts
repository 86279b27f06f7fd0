// What a till may leave behind when its night ends.
import { computed } from "@preact/signals";
import type { Desk } from "../../shell/leaving.ts";
import { isEmpty } from "./cart.ts";
import { draft, sales, wipeDesk } from "./desk.ts";

const begun = computed(() => sales.value.filter((sale) => sale.state === "begun"));

/** `begun`: sales that are not known to be in the outbox. `open`: something is on the keypad or in the cart. */
export const tillDesk: Desk<"begun" | "open"> = {
  left: computed(() => ({ begun: begun.value.length, open: isEmpty(draft.value) ? 0 : 1 })),
  notStored: () => begun.value,
  wipe: wipeDesk,
};
