// The two pages as a person sees them, by their stable test ids.
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import type { City } from "./city.js";
import type { Phone } from "./phone.js";

class Screen {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  get(id: string): Locator {
    return this.page.getByTestId(id);
  }

  /** The page has its outbox and its own list. */
  async ready(): Promise<void> {
    await this.page.locator("main[data-opening=open]").waitFor();
  }

  /** A person looks at one page at a time; the browser slows the others down. */
  async look(): Promise<void> {
    await this.page.bringToFront();
  }

  /** The badge: what this device owes the city. */
  async pending(count: number): Promise<void> {
    await this.page.waitForFunction(
      (wanted) => document.querySelector("[data-testid=pending]")?.textContent?.trim() === wanted,
      String(count),
    );
  }

  async link(state: string): Promise<void> {
    await this.page.locator(`[data-testid=link][data-link=${state}]`).waitFor();
  }

  async enrolled(): Promise<void> {
    await this.get("enrolment").waitFor({ state: "detached" });
  }

  async attention(count: number): Promise<void> {
    await this.page.locator(`[data-testid=attention][data-count="${count}"]`).waitFor();
  }

  async sendNow(): Promise<void> {
    await this.get("send-now").click();
  }

  /** Everything for a cold start without network is on the phone. */
  async shellKept(): Promise<void> {
    await this.page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
  }

  /** A picture for people to look at, on a usual and on a small phone, if a folder for them is named. */
  async shoot(name: string): Promise<void> {
    const folder = process.env.CONCH_SHOTS;
    if (folder === undefined) return;
    const usual = this.page.viewportSize();
    for (const size of [
      { width: 390, height: 844 },
      { width: 360, height: 640 },
    ]) {
      await this.page.setViewportSize(size);
      await this.page.screenshot({ path: join(folder, `${name}-${size.width}.png`) });
    }
    if (usual !== null) await this.page.setViewportSize(usual);
  }

  async rows(id: string, standing: string, count: number): Promise<void> {
    await this.page.waitForFunction(
      ([selector, wanted]) => document.querySelectorAll(String(selector)).length === wanted,
      [`[data-testid=${id}][data-standing=${standing}]`, count] as const,
    );
  }
}

/** On disk and safe. Which of the two words it reads depends on whether a try may have left the phone. */
export const STORED = "saved|unknown";

export class Till extends Screen {
  static async open(phone: Phone, city: City, device: string): Promise<Till> {
    const till = new Till(await phone.open(`${city.origin}/pos/?device=${device}`));
    await till.ready();
    return till;
  }

  async enter(dollars: number): Promise<void> {
    for (const digit of String(dollars)) await this.get(`key-${digit}`).click();
  }

  /** One sale up to its card, which then says `standing`. Gives the order key. */
  async sell(dollars: number, standing: string): Promise<string> {
    await this.enter(dollars);
    await this.get("charge").click();
    return this.card(standing);
  }

  async card(standing: string): Promise<string> {
    const either = standing.split("|").map((one) => `[data-testid=sale][data-standing=${one}]`);
    await this.page.locator(either.join()).waitFor();
    return (await this.get("sale").getAttribute("data-key")) ?? "";
  }

  async next(): Promise<void> {
    await this.get("next-sale").click();
    await this.get("charge").waitFor();
  }

  async sales(standing: string, count: number): Promise<void> {
    await this.rows("sale-row", standing, count);
  }
}

export class Gate extends Screen {
  static async open(phone: Phone, city: City, device: string): Promise<Gate> {
    const gate = await Gate.before(phone, city, device);
    await gate.openUp();
    return gate;
  }

  /** The gate while it is being checked. */
  static async before(phone: Phone, city: City, device: string): Promise<Gate> {
    const gate = new Gate(await phone.open(`${city.origin}/scanner/?device=${device}`));
    await gate.ready();
    return gate;
  }

  /** Opens it as soon as it may be, also with amber checks. */
  async openUp(): Promise<void> {
    await this.get("open-gate").click();
    await this.get("preflight").waitFor({ state: "detached" });
  }

  /** What a keyboard scanner does: it types the code and presses Enter, wherever the focus is. */
  async scan(ticket: string, standing: string): Promise<void> {
    await this.page.keyboard.type(ticket);
    await this.page.keyboard.press("Enter");
    await this.result(ticket, standing);
  }

  async result(ticket: string, standing: string): Promise<void> {
    await this.page.locator(`[data-testid=result][data-standing=${standing}][data-ticket="${ticket}"]`).waitFor();
  }

  async scans(standing: string, count: number): Promise<void> {
    await this.rows("scan-row", standing, count);
  }
}
