import type { methods as chinese } from "./methods.zh-Hant.ts";

export const methods: typeof chinese = {
  cash: "Cash",
  confirmed_elsewhere: "Paid else\u00adwhere",
  promise: "Pay later",
  authorized_online: "Bank online",
};
