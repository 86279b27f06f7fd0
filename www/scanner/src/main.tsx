import { start } from "../../shell/frame.tsx";
import { openGate, saving } from "./gate.ts";
import { GatePage } from "./page.tsx";

start({ page: "scanner", opened: (_, me) => openGate(me), busy: () => saving.value, body: GatePage });
