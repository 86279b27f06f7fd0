// A lamp for a camera that has none: Chromium's fake one cannot light anything.
import type { Page } from "playwright-core";
import type { Phone } from "./phone.js";

/** Gives the camera a lamp, and notes what it is told. */
export async function withLamp(phone: Phone): Promise<(page: Page) => Promise<boolean[]>> {
  await phone.context.addInitScript(() => {
    const lamp: boolean[] = [];
    Object.assign(globalThis, { lamp });
    const { getCapabilities, applyConstraints } = MediaStreamTrack.prototype;
    MediaStreamTrack.prototype.getCapabilities = function (this: MediaStreamTrack) {
      return { ...getCapabilities.call(this), torch: true };
    };
    MediaStreamTrack.prototype.applyConstraints = async function (this: MediaStreamTrack, wanted) {
      const torch = (wanted?.advanced?.[0] as { torch?: boolean } | undefined)?.torch;
      if (torch === undefined) return applyConstraints.call(this, wanted);
      lamp.push(torch);
    };
  });
  return (page) => page.evaluate(() => (globalThis as unknown as { lamp: boolean[] }).lamp);
}
