import { start } from "../../shell/frame.tsx";
import type { Identity } from "../../shell/identity.ts";
import { watchCamera } from "./camera.ts";
import { openGate, present, saving } from "./gate.ts";
import { applySeen } from "./known.ts";
import { GatePage } from "./page.tsx";
import { unlockAtFirstTouch } from "./sound.ts";
import { begin, stage } from "./stage.ts";
import "./scanner.css";

/** Who scans, once the outbox is open. */
let scanner: Identity | null = null;

unlockAtFirstTouch();
watchCamera((text, seenAt) => {
  if (stage.value === "open" && scanner !== null) void present(scanner, text, { byCamera: true, seenAt });
});
start({
  page: "scanner",
  opened: async (outbox, me) => {
    await openGate(outbox, me);
    scanner = me;
    if (stage.value === "open") begin();
  },
  apply: applySeen,
  busy: () => saving.value,
  body: GatePage,
});
