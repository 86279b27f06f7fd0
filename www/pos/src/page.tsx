// The till's screen: the counter, or the card that stands before it, and below it the recent sales and the night's end.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { money } from "../../shell/figures.ts";
import type { Identity } from "../../shell/identity.ts";
import { later } from "../../shell/later.tsx";
import { signedOut } from "../../shell/leaving.ts";
import { LeavingButton, LeavingSheet, SignedOut } from "../../shell/leaving.tsx";
import { power } from "../../shell/power.ts";
import { HoldCard, RepeatQuestion } from "./asks.tsx";
import { SaleCard } from "./card.tsx";
import * as cart from "./cart.ts";
import { Counter } from "./counter.tsx";
import { FuelGauge } from "./gauge.tsx";
import { PowerNotice } from "./power.tsx";
import { ReceiptSheet } from "./receipt.tsx";
import { FailedNote, Recent } from "./recent.tsx";
import { standingOf } from "./sale.ts";
import * as till from "./till.ts";
import { UnsentSheet } from "./unsent.tsx";
import { wordOfSale } from "./wording.ts";
import { words } from "./words/index.ts";

const Night = later(async () => (await import("./night.tsx")).Night);

/** Hands on a keyboard: digits, Backspace, Enter to charge and to go on, Escape to clear. */
function pressed(event: KeyboardEvent): void {
  const target = event.target;
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") !== null || signedOut.value) return;
  if (target instanceof HTMLInputElement && target.type !== "radio") return;
  const onCard = till.shown.value !== null;
  if (/^[0-9]$/.test(event.key) && !onCard) till.step(cart.digits(event.key));
  else if (event.key === "Backspace" && !onCard) till.step(cart.eraseOne);
  else if (event.key === "Escape" && till.twin.value !== null) till.closeTwin();
  else if (event.key === "Escape") onCard ? till.nextSale() : till.step(cart.eraseAll);
  else if (event.key === "Enter" && !(target instanceof HTMLButtonElement)) onCard ? till.nextSale() : till.charge();
}

function Front(): JSX.Element {
  const sale = till.shown.value;
  const holding = till.holding.value;
  if (sale !== null) return <SaleCard sale={sale} />;
  if (till.twin.value !== null) return <RepeatQuestion first={till.twin.value} />;
  if (holding !== null && holding !== "held") return <HoldCard step={holding} />;
  return <Counter />;
}

/** A live region must be there before its words come, so it is not part of the card. */
function Spoken(): JSX.Element {
  const sale = till.shown.value;
  const say = words.value;
  const holding = till.holding.value;
  const asked = till.twin.value !== null ? say.repeat.title : "";
  const held = holding !== null && holding !== "held" ? say.hold[holding] : asked;
  const spoken = sale === null ? held : `${wordOfSale(sale, standingOf(sale, till.doubt.value))} ${money(sale.amount)}`;
  return (
    <p class="unseen" role="status" aria-live="assertive">
      {spoken}
    </p>
  );
}

export function TillPage({ me }: { me: Identity }): JSX.Element {
  useEffect(() => {
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  if (signedOut.value) return <SignedOut hint={words.value.night.doneHint} />;
  return (
    <>
      <Spoken />
      <PowerNotice />
      {power.value === null && <FuelGauge />}
      <Front />
      <FailedNote />
      <Recent />
      <LeavingButton name="night" label={words.value.night.open} />
      <UnsentSheet />
      <ReceiptSheet />
      <LeavingSheet name="night" title={words.value.night.title}>
        <Night me={me} />
      </LeavingSheet>
    </>
  );
}
