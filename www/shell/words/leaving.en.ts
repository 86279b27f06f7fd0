import type { Words } from "./leaving.zh-Hant.ts";

export const en: Words = {
  signOut: "Sign this device out",
  hindered: "You cannot sign out yet:",
  unsent: (count) => `${count} not sent. Connect and tap “Send now”, or hand the file to a supervisor.`,
  dead: (count) => `${count} need${count === 1 ? "s" : ""} attention. Open “Needs attention” and decide each.`,
  export: "Export what is unsent (for a supervisor)",
  sure: "Yes, sign out",
  back: "Not yet",
  failedTo: "Not signed out:",
};
