// The two pages as a person sees them, by their stable test ids.
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import type { City } from "./city.js";
import type { Phone } from "./phone.js";
import { until } from "./until.js";

export class Screen {
  page: Page;

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

  /** Switches to the other language. The button may lie behind a sheet; it is the language that is wanted, not the tap. */
  async speak(language: "zh-Hant" | "en"): Promise<void> {
    await this.get("language").dispatchEvent("click");
    await this.speaks(language);
  }

  async speaks(language: "zh-Hant" | "en"): Promise<void> {
    await this.page.locator(`html[lang=${language}]`).waitFor();
  }

  /** Pictures of this moment in both languages and on two sizes of phone, where the environment wants them. */
  async shoot(name: string): Promise<void> {
    const folder = process.env.CONCH_SHOTS;
    if (folder === undefined) return;
    const usual = this.page.viewportSize();
    for (const language of ["zh", "en"]) {
      for (const [width, height] of [
        [390, 844],
        [360, 640],
      ] as const) {
        await this.page.setViewportSize({ width, height });
        await this.page.screenshot({ path: join(folder, `${name}-${language}-${width}.png`) });
      }
      await this.speak(language === "zh" ? "en" : "zh-Hant");
    }
    if (usual !== null) await this.page.setViewportSize(usual);
  }

  /** The badge: what this device owes the city. */
  async pending(count: number): Promise<void> {
    await this.page.waitForFunction(
      (wanted) => document.querySelector("[data-testid=pending]")?.textContent?.trim() === wanted,
      String(count),
    );
  }

  theme(): Promise<string | undefined> {
    return this.page.evaluate(() => document.documentElement.dataset.theme);
  }

  async link(state: string): Promise<void> {
    await this.page.locator(`[data-testid=link][data-link=${state}]`).waitFor();
  }

  async enrolled(): Promise<void> {
    await this.page.locator("main[data-enrolment=enrolled]").waitFor();
  }

  async attention(count: number): Promise<void> {
    await this.page.locator(`[data-testid=attention][data-count="${count}"]`).waitFor();
  }

  async sendNow(): Promise<void> {
    await this.get("send-now").click();
  }

  /** The browser throws the outbox away and keeps the rest, as it may when space runs out. */
  async evict(phone: Phone): Promise<void> {
    const address = this.page.url();
    // A closed page still holds its databases while its worker keeps their process alive.
    await this.page.close();
    this.page = await phone.open(new URL("/ops/icon.svg", address).href);
    const browser = await phone.context.newCDPSession(this.page);
    await browser.send("ServiceWorker.enable");
    await browser.send("ServiceWorker.stopAllWorkers");
    const gone = this.page.evaluate(async () => {
      const all = await indexedDB.databases();
      for (const { name = "" } of all.filter((one) => !one.name?.startsWith("book-"))) {
        await new Promise((done, failed) => {
          const request = indexedDB.deleteDatabase(name);
          request.onsuccess = done;
          request.onerror = failed;
        });
      }
      return true;
    });
    await until("the outbox is gone", () => Promise.race([gone, Promise.resolve(false)]));
    await this.page.goto(address);
    await this.ready();
  }

  /** The browser looks for a new version and has it ready. */
  async bringNewVersion(): Promise<void> {
    // The first worker must be in charge, or nothing would be replaced.
    await this.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await this.page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      await registration.update();
      const coming = registration.installing;
      while (coming !== null && coming.state === "installing") {
        await new Promise((changed) => coming.addEventListener("statechange", changed, { once: true }));
      }
      if (registration.waiting === null) throw new Error("no new version waits");
    });
  }

  /** Taps until the page comes again: it leaves out taps that come sooner than a person can mean them. */
  async takeNewVersion(): Promise<void> {
    const before = await this.page.evaluate(() => performance.timeOrigin);
    await until("the new version is taken", async () => {
      const offer = this.get("new-version");
      if ((await offer.count()) > 0) await offer.click({ timeout: 1_000 }).catch(() => undefined);
      return this.page.evaluate((origin) => performance.timeOrigin > origin, before).catch(() => false);
    });
    await this.ready();
  }

  /** From here on the outbox's disk is full; the page's own list still writes. */
  async fillDisk(): Promise<void> {
    await this.page.evaluate(() => {
      const { put, add } = IDBObjectStore.prototype;
      const full = <F extends typeof put | typeof add>(write: F): F =>
        function (this: IDBObjectStore, ...asked: Parameters<F>) {
          if (!this.transaction.db.name.startsWith("book-")) throw new DOMException("full", "QuotaExceededError");
          return write.apply(this, asked as [unknown]);
        } as F;
      Object.assign(IDBObjectStore.prototype, { put: full(put), add: full(add) });
    });
  }

  /** Everything for a cold start without network is on the phone. */
  async shellKept(): Promise<void> {
    await this.page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
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

  /**
   * What is typed and in the cart is in the page's own book on disk: `12 squid×2`. A tap in the very moment of a reload may
   * not be.
   */
  async draftKept(wanted: string): Promise<void> {
    await until(`"${wanted}" on disk`, async () => {
      const kept = await this.page.evaluate(async () => {
        const books = (await indexedDB.databases()).flatMap(({ name }) =>
          name?.startsWith("book-pos-") ? [name] : [],
        );
        const answer = <T>(request: IDBRequest<T>): Promise<T> =>
          new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          });
        const found: unknown[] = [];
        for (const name of books) {
          const book = await answer(indexedDB.open(name));
          found.push(await answer(book.transaction("rows").objectStore("rows").get("draft")));
          book.close();
        }
        return found as ({ dollars: number; lines: { item: string; count: number }[] } | undefined)[];
      });
      return kept.some((draft) => {
        const lines = draft?.lines.map(({ item, count }) => `${item}×${count}`) ?? [];
        return [draft?.dollars, ...lines].join(" ") === wanted;
      });
    });
  }

  /** One sale up to its card, which then says `standing`. Gives the order key. */
  async sell(dollars: number, standing: string): Promise<string> {
    await this.enter(dollars);
    await this.get("charge").click();
    return this.card(standing);
  }

  /** Taps on the menu. */
  async tap(...items: string[]): Promise<void> {
    for (const item of items) await this.get(`item-${item}`).click();
  }

  /** What the cart holds: `squid×2 tea×1`. */
  async cart(wanted: string): Promise<void> {
    await this.page.waitForFunction((lines) => {
      const shown = [...document.querySelectorAll<HTMLElement>("[data-testid=line]")];
      return shown.map(({ dataset }) => `${dataset.item}×${dataset.count}`).join(" ") === lines;
    }, wanted);
  }

  /** The amount on the display, in dollars with its commas. */
  async total(dollars: string): Promise<void> {
    await this.page.waitForFunction(
      (wanted) => document.querySelector("[data-testid=amount]")?.textContent === wanted,
      `NT$${dollars}`,
    );
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
