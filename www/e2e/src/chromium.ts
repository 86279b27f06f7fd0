/** The system's Chromium, and how every test starts it: without a window, a first run or calls home. */
export const chromiumProgram = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const chromiumFlags: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
