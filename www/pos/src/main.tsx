import { start } from "../../shell/frame.tsx";
import { followSignOut } from "../../shell/leaving.ts";
import { watchPower } from "../../shell/power.ts";
import { effectsOf } from "./heard.ts";
import { tillDesk } from "./leaving.ts";
import { keepMenu } from "./menu.ts";
import { TillPage } from "./page.tsx";
import { openTill, saleOpen } from "./till.ts";
import { watchRefunds } from "./told.ts";
import { SaleRemedies } from "./ways.tsx";
import "./pos.css";

start({
  page: "pos",
  opened: async (edge, me) => {
    await openTill(edge, me);
    await Promise.all([watchRefunds(edge), watchPower(edge)]);
    followSignOut(me, tillDesk);
    void keepMenu(me);
  },
  busy: () => saleOpen.value,
  body: TillPage,
  apply: (event) => effectsOf(event, Date.now()),
  remedies: SaleRemedies,
});
