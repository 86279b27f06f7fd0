// What axe does not look for: targets for greasy fingers, text that is cut off, pages that scroll sideways.
import type { Page } from "playwright-core";

/** The least side of whatever a finger is to hit, in CSS pixels. */
const TARGET_PX = 48;

export function blemishes(page: Page): Promise<string[]> {
  return page.evaluate((least) => {
    const found: string[] = [];
    const nameOf = (element: Element): string => {
      const own = element.getAttribute("data-testid") ?? element.className;
      return `<${element.tagName.toLowerCase()} ${own}> “${(element.textContent ?? "").trim().slice(0, 40)}”`;
    };
    const isSeen = (element: Element): boolean =>
      element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
      element.closest(".unseen") === null &&
      (document.querySelector("dialog[open]")?.contains(element) ?? true);

    const sideways = document.documentElement.scrollWidth - innerWidth;
    if (sideways > 0) found.push(`the page scrolls ${sideways} px sideways`);

    for (const target of document.querySelectorAll("button, a[href], input, select, textarea, summary, label")) {
      // The label of a hidden radio is what a finger hits.
      if (!isSeen(target) || target.matches("input[type=radio], input[type=checkbox]")) continue;
      if (target.matches("label") && target.querySelector("input") === null) continue;
      const { width, height } = target.getBoundingClientRect();
      // Half a pixel is the rounding of the layout.
      if (width < least - 0.5 || height < least - 0.5) {
        found.push(`${nameOf(target)} is ${Math.round(width)}x${Math.round(height)}`);
      }
    }

    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
      const holder = text.parentElement;
      if (holder === null || (text.nodeValue ?? "").trim() === "" || !isSeen(holder)) continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const { left, right, top, bottom, width } of range.getClientRects()) {
        if (width === 0) continue;
        if (left < -0.5 || right > innerWidth + 0.5) found.push(`${nameOf(holder)} leaves the screen`);
        for (let box: Element | null = holder; box !== null && box !== document.body; box = box.parentElement) {
          const { overflowX, overflowY } = getComputedStyle(box);
          const frame = box.getBoundingClientRect();
          const bounds = box.matches("button, label, input");
          const cutsX = bounds || overflowX === "hidden" || overflowX === "clip";
          const cutsY = bounds || overflowY === "hidden" || overflowY === "clip";
          const beyondX = left < frame.left - 1 || right > frame.right + 1;
          // A line is a little higher than its signs.
          const beyondY = top < frame.top - 4 || bottom > frame.bottom + 4;
          if ((cutsX && beyondX) || (cutsY && beyondY)) {
            found.push(`${nameOf(holder)} is cut off by ${nameOf(box)}`);
            break;
          }
        }
      }
    }
    return [...new Set(found)];
  }, TARGET_PX);
}
