import { start } from "../../shell/frame.tsx";
import { watchCamera } from "./camera.ts";
import { openGate, present, saving } from "./gate.ts";
import { applySeen } from "./known.ts";
import { GatePage } from "./page.tsx";
import { unlockAtFirstTouch } from "./sound.ts";
import { begin, stage } from "./stage.ts";
import "./scanner.css";

unlockAtFirstTouch();
start({
  page: "scanner",
  opened: async (outbox, me) => {
    await openGate(outbox, me);
    watchCamera((text, seenAt) => {
      if (stage.value === "open") void present(me, text, { byCamera: true, seenAt });
    });
    if (stage.value === "open") begin();
  },
  apply: applySeen,
  busy: () => saving.value,
  body: GatePage,
});
