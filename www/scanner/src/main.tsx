import { start } from "../../shell/frame.tsx";
import type { Identity } from "../../shell/identity.ts";
import { followSignOut, signedOut } from "../../shell/leaving.ts";
import { leavingShown } from "../../shell/leaving.tsx";
import { watchPower } from "../../shell/power.ts";
import { watchCamera } from "./camera.ts";
import { openGate, present, saving } from "./gate.ts";
import { applyTold } from "./known.ts";
import { gateDesk, restWhenSignedOut } from "./leaving.ts";
import { GatePage } from "./page.tsx";
import { unlockAtFirstTouch } from "./sound.ts";
import { watchBattery } from "./sparing.ts";
import { begin, stage } from "./stage.ts";
import "./scanner.css";

/** Who scans, once the outbox is open. */
let scanner: Identity | null = null;

unlockAtFirstTouch();
restWhenSignedOut();
void watchBattery().catch(() => undefined);
watchCamera((text, seenAt) => {
  // Behind the sheet of the shift's end nobody would see what became of a ticket.
  if (stage.value !== "open" || leavingShown.value || signedOut.value || scanner === null) return;
  void present(scanner, text, { byCamera: true, seenAt });
});
start({
  page: "scanner",
  opened: async (outbox, me) => {
    await Promise.all([openGate(outbox, me), watchPower(outbox)]);
    scanner = me;
    followSignOut(me, gateDesk(me));
    if (stage.value === "open") begin();
  },
  apply: applyTold,
  busy: () => saving.value,
  body: GatePage,
});
