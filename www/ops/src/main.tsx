// The board only asks and shows: it owes the city nothing, so it opens no outbox and loads no wasm.
import { render } from "preact";
import { nudgeOnReturn } from "../../shell/events.ts";
import { identify, keepEnrolling } from "../../shell/identity.ts";
import { keepShell } from "../../shell/renewal.ts";
import { wearTheme } from "../../shell/theme.ts";
import { speakAs } from "../../shell/words/index.ts";
import { keepAsking } from "./live.ts";
import { BoardPage } from "./page.tsx";
import "../../shell/themes.css";
import "../../shell/shell.css";
import "./ops.css";

const me = identify("ops");
wearTheme();
const root = document.getElementById("page");
void speakAs("ops").then(() => root !== null && render(<BoardPage me={me} />, root));
nudgeOnReturn();
void keepEnrolling(me);
void keepAsking(me);
void keepShell().catch(() => undefined);
