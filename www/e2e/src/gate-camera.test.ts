// The gate's camera: real frames through the real decoder, with and without the city.
import assert from "node:assert/strict";
import type { City, Issued } from "./city.js";
import { cameraOf, film, type Shot } from "./film.js";
import { Gate } from "./screens.js";
import { holds, prepared, reaches } from "./world.js";

const PAUSE: Shot = { text: null, frames: 14 };

/** Each for a moment, with nothing in between, and then nothing for long: a film plays again from its beginning. */
function oneAfterAnother(shots: readonly Shot[]): Shot[] {
  return [PAUSE, ...shots.flatMap((shot) => [shot, { text: null, frames: 4 }]), { text: null, frames: 600 }];
}

async function filmed(shots: readonly Shot[]): Promise<string[]> {
  return cameraOf(await film(oneAfterAnother(shots)));
}

const signedLooks = (tickets: readonly Issued[]): Shot[] =>
  (["good", "rotated", "blurred", "dim", "small"] as const).map((look, place) => ({
    text: tickets[place]?.code ?? null,
    frames: 12,
    look,
  }));

prepared(
  "tickets held straight, turned, blurred, in the dark and far away are let in, each once",
  async (city: City) => {
    const made = await city.issue(5);
    return { made, flags: await filmed(signedLooks(made)) };
  },
  async ({ city, phone }, tickets) => {
    const gate = await Gate.open(phone, city, "gate-c1");
    for (const { ticket } of tickets) {
      await gate.page.locator(`[data-testid=scan-row][data-ticket="${ticket}"][data-standing=admitted]`).waitFor();
    }
    await gate.pending(0);
    assert.equal(await gate.get("scan-row").count(), 5);
    await reaches(city, { events: 5, admissions: 5, scans: 5 });
  },
);

prepared(
  "twenty scans by camera in the dark, after a cold start without a network, arrive each exactly once",
  async (city: City) => {
    const made = await city.issue(20);
    return { made, flags: await filmed(made.map(({ code }) => ({ text: code, frames: 8 }))) };
  },
  async ({ city, phone }, tickets) => {
    const gate = await Gate.before(phone, city, "gate-c2");
    await gate.enrolled();
    await gate.shellKept();
    await gate.page.locator("[data-testid=check-list][data-grade=good]").waitFor();
    await phone.context.setOffline(true);
    await gate.page.reload();
    await gate.ready();
    await gate.openUp();
    await gate.scans("saved", 20);
    // Before the film begins again.
    await gate.page.goto("about:blank");
    await holds(city, { events: 0 });

    await phone.context.setOffline(false);
    const again = new Gate(await phone.open(`${city.origin}/scanner/?device=gate-c2`));
    await again.ready();
    await again.sendNow();
    await again.pending(0);
    await reaches(city, { events: 20, admissions: 20, scans: 20 });
    for (const { ticket } of tickets) assert.equal((await city.ticket(ticket)).state, "admitted");
  },
);
