import { start } from "../../shell/frame.tsx";
import { TillPage } from "./page.tsx";
import { openTill, saleOpen } from "./till.ts";

start({ page: "pos", opened: openTill, busy: () => saleOpen.value, body: TillPage });
