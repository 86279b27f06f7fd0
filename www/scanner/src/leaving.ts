// What a gate leaves behind when its shift ends, and what of it is erased. The device's name stays, for the outbox on disk
// belongs to it; so do theme, language and camera, which are the phone's.
import { computed, effect } from "@preact/signals";
import { forgetPlace, type Identity } from "../../shell/identity.ts";
import { type Desk, signedOut } from "../../shell/leaving.ts";
import { letSleep } from "./awake.ts";
import { stopCamera } from "./camera.ts";
import { unstored, wipeScans } from "./gate.ts";
import { forgetList } from "./known.ts";
import { forgetOpened } from "./stage.ts";

/** `unstored`: tickets that were judged and are on no disk. */
export function gateDesk(me: Identity): Desk<"unstored"> {
  return {
    left: computed(() => ({ unstored: unstored.value.size })),
    notStored: () => [...unstored.value].map(([ticket, { event, at }]) => ({ ticket, event, at })),
    wipe: async () => {
      forgetOpened(me.device);
      forgetPlace(me);
      await Promise.all([wipeScans(), forgetList()]);
    },
  };
}

/** A phone that has signed out looks at nobody and goes dark like any other. Call once. */
export function restWhenSignedOut(): void {
  effect(() => {
    if (!signedOut.value) return;
    stopCamera();
    letSleep();
  });
}
