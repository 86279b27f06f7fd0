// What the city has told this till of refunds, from the outbox's records: they are there after a reload as well.
import { signal } from "@preact/signals";
import type { Edge } from "conch-edge";
import { REFUNDS, type Refund } from "./heard.ts";

export const refunds = signal<readonly Refund[]>([]);

export function refundsOf(order: string): readonly Refund[] {
  return refunds.value.filter((refund) => refund.order === order);
}

async function read(outbox: Edge): Promise<void> {
  const records = await outbox.records<Refund>(REFUNDS).list();
  refunds.value = records.map(({ value }) => value);
}

export async function watchRefunds(outbox: Edge): Promise<void> {
  outbox.outcomes((event) => {
    if (event.topic.startsWith("pay.")) void read(outbox).catch(() => undefined);
  });
  await read(outbox);
}
