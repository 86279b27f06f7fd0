// An order by the end of its number: what somebody with a receipt in hand reads out on the telephone.
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";
import { type Answer, ask, authorized, type Order } from "../../shell/city.ts";
import { money } from "../../shell/figures.ts";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import { tokenAtHand } from "../../shell/identity.ts";
import { timeOf } from "../../shell/words/index.ts";
import { limits } from "./limits.ts";
import { Panel, Rows, sure } from "./panel.tsx";
import { words } from "./words/index.ts";

interface Refund {
  dupTxnId: string;
  state: string;
  amount: number;
  reference: string | null;
  at: number;
}

type Found = Omit<Order, "amount"> & { amount: number | null; refunds?: Refund[] };

/** What was asked last, and the answer once it is there. */
const question: Signal<{ ending: string; answer: Answer<{ orders: Found[] }> | null } | null> = signal(null);

const toneOfState: Record<Order["state"], Tone> = { captured: "good", open: "wait", pending: "wait", failed: "warn" };

async function look(ending: string): Promise<void> {
  const own = { ending, answer: null };
  question.value = own;
  const answer = await ask<{ orders: Found[] }>(
    `/v1/orders?ending=${encodeURIComponent(ending)}`,
    authorized(tokenAtHand()),
  );
  // A later question has its own answer.
  if (question.value === own) question.value = { ending, answer };
}

function RefundLine({ refund }: { refund: Refund }): JSX.Element {
  const say = words.value;
  const state = say.sagas.states[refund.state] ?? refund.state;
  return (
    <p class="fine facts-line" data-testid="order-refund" data-state={refund.state}>
      <span>{say.orders.refund(state, money(refund.amount))}</span>
      {refund.reference !== null && <span>{refund.reference}</span>}
      <time>{timeOf(refund.at)}</time>
    </p>
  );
}

function Row({ order }: { order: Found }): JSX.Element {
  const say = words.value.orders;
  const tone = sure(toneOfState[order.state]);
  const methods: Record<string, string> = say.methods;
  return (
    <li class="row-facts" data-testid="order" data-key={order.key} data-state={order.state}>
      <span class={`ink-${tone}`}>
        <Glyph tone={tone} size="small" />
      </span>
      <div>
        <p class="row-title">
          <strong>{order.amount === null ? say.noAmount : money(order.amount)}</strong> {say.states[order.state]}
        </p>
        <p class="fine facts-line">
          <span>{order.key}</span>
          <span>{methods[order.method] ?? order.method}</span>
          <span>{order.device}</span>
          <time>{timeOf(order.at)}</time>
          {order.reason !== undefined && <span>{order.reason}</span>}
        </p>
        {order.refunds?.map((refund) => (
          <RefundLine key={refund.dupTxnId} refund={refund} />
        ))}
      </div>
    </li>
  );
}

/** What came of the question, in words: it is read out when it comes. */
function told(): string {
  const say = words.value;
  const asked = question.value;
  if (asked === null) return "";
  if (asked.answer === null) return say.orders.asking;
  if (asked.answer.kind === "found") return say.orders.found(asked.answer.value.orders.length, asked.ending);
  return asked.answer.kind === "refused" ? say.reason.done.refused : say.orders.away;
}

export function Orders(): JSX.Element {
  const say = words.value.orders;
  const answer = question.value?.answer;
  return (
    <Panel id="orders" title={say.title}>
      <form
        class="reason"
        onSubmit={(event) => {
          event.preventDefault();
          const typed = String(new FormData(event.currentTarget).get("ending") ?? "");
          void look(typed.replaceAll(/[\s…]/g, ""));
        }}
      >
        <label class="fine" for="order-ending">
          {say.label}
        </label>
        <div class="pair">
          <input
            id="order-ending"
            name="ending"
            data-testid="order-ending"
            required
            minLength={limits.endingLength[0]}
            maxLength={limits.endingLength[1]}
            autoComplete="off"
            autoCapitalize="characters"
            spellcheck={false}
          />
          <button type="submit" class="plain" data-testid="order-look">
            {say.look}
          </button>
        </div>
      </form>
      <p role="status" class="fine" data-testid="order-answer">
        {told()}
      </p>
      {answer?.kind === "found" && answer.value.orders.length > 0 && (
        <Rows all={answer.value.orders} row={(order) => <Row key={order.key} order={order} />} />
      )}
    </Panel>
  );
}
