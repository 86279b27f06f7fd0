// The counter: what is being sold, by menu and keypad, how it is paid, and the button that charges.
import { computed, signal } from "@preact/signals";
import type { JSX } from "preact";
import { money } from "../../shell/figures.ts";
import { ready } from "../../shell/outbox.ts";
import * as cart from "./cart.ts";
import { draft, market, sales } from "./desk.ts";
import { CapNote } from "./gauge.tsx";
import { typedLately } from "./lately.ts";
import { limits } from "./limits.ts";
import type { Item } from "./market.ts";
import { methods } from "./sale.ts";
import * as till from "./till.ts";
import { nameOf } from "./wording.ts";
import { words } from "./words/index.ts";

const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "00", "0"] as const;

/** Which of the two a hand finds; the menu first, where there is one. */
const pad = signal<"menu" | "keypad">("menu");

/** The way to the other pad, where there are two. */
function PadSwitch(): JSX.Element {
  const other = pad.value === "menu" ? "keypad" : "menu";
  return (
    <button
      type="button"
      class="plain pad-switch"
      data-testid={`pad-${other}`}
      onClick={() => {
        pad.value = other;
      }}
    >
      {words.value[other]}
    </button>
  );
}

/** Changes with a sale and not with every key. */
const lately = computed(() => typedLately(sales.value));

/** What was typed last, to be added with one tap; a large total needs the room for itself. */
function Lately(): JSX.Element | null {
  const say = words.value;
  if (cart.totalOf(draft.value) > limits.besideLatelyMax) return null;
  return (
    <>
      {lately.value.map((price) => (
        <button
          key={price}
          type="button"
          class="plain lately"
          data-testid="lately"
          aria-label={say.addAmount(money(price))}
          onClick={() => till.step(cart.add(cart.typedLine(price)))}
        >
          +{price / 100}
        </button>
      ))}
    </>
  );
}

function Display({ twoPads }: { twoPads: boolean }): JSX.Element {
  const say = words.value;
  const { lines, dollars } = draft.value;
  const hint = lines.length > 0 && dollars > 0 ? `+ ${money(dollars * 100)}` : "";
  return (
    <div class="display-row">
      {twoPads ? <PadSwitch /> : <Lately />}
      <p class="display" aria-live="polite">
        <span class="display-hint">{hint}</span>
        <span class="unseen">{say.amount} </span>
        <span data-testid="amount">{money(cart.totalOf(draft.value))}</span>
      </p>
    </div>
  );
}

function Dish({ item }: { item: Item }): JSX.Element {
  const say = words.value;
  const count = draft.value.lines.find((line) => line.item === item.id && line.price === item.price)?.count ?? 0;
  const name = nameOf(item.name);
  return (
    <button
      type="button"
      class={count === 0 ? "dish plain" : "dish plain dish-taken"}
      data-testid={`item-${item.id}`}
      data-count={count}
      aria-label={say.addItem(name, money(item.price), count)}
      onClick={() => till.step(cart.add({ item: item.id, name: item.name, price: item.price, count: 1 }))}
    >
      <span class="dish-name">{name}</span>
      <span class="dish-price">
        {money(item.price)}
        {count > 0 && <span class="dish-count">{count}</span>}
      </span>
    </button>
  );
}

function Menu({ items }: { items: readonly Item[] }): JSX.Element {
  return (
    <div class="dishes" data-testid="menu">
      {items.map((item) => (
        <Dish key={item.id} item={item} />
      ))}
    </div>
  );
}

function Keypad(): JSX.Element {
  const say = words.value;
  return (
    <div class="keypad" data-testid="keypad">
      {keys.map((key) => (
        <button
          key={key}
          type="button"
          class="key"
          data-testid={`key-${key}`}
          onClick={() => till.step(cart.digits(key))}
        >
          {key}
        </button>
      ))}
      <button
        type="button"
        class="key"
        data-testid="key-back"
        aria-label={say.backspace}
        onClick={() => till.step(cart.eraseOne)}
        onDblClick={() => till.step(cart.eraseAll)}
      >
        ⌫
      </button>
    </div>
  );
}

function CartLine({ line }: { line: cart.Line }): JSX.Element {
  const say = words.value;
  const name = nameOf(line.name);
  return (
    <li class="line" data-testid="line" data-item={line.item} data-count={line.count}>
      <span class="line-words">
        <strong>{name}</strong>
        <span class="fine">
          {money(line.price)}
          {line.count > 1 && ` × ${line.count} = ${money(line.price * line.count)}`}
        </span>
      </span>
      <button
        type="button"
        class="plain"
        data-testid="fewer"
        aria-label={say.fewer(name)}
        onClick={() => till.step(cart.count(line, -1))}
      >
        −
      </button>
      <span class="line-count">{line.count}</span>
      <button
        type="button"
        class="plain"
        data-testid="more"
        aria-label={say.more(name)}
        onClick={() => till.step(cart.count(line, 1))}
      >
        +
      </button>
      <button
        type="button"
        class="quiet"
        data-testid="remove"
        aria-label={say.removeLine(name)}
        onClick={() => till.step(cart.remove(line))}
      >
        ✕
      </button>
    </li>
  );
}

/** Its buttons are always there, so that nothing moves under a finger when the first digit is typed. */
function Cart(): JSX.Element {
  const say = words.value;
  const { lines, dollars } = draft.value;
  return (
    <section class="cart">
      <div class="pair cart-tools">
        <button
          type="button"
          class="quiet"
          data-testid="keep-typed"
          disabled={dollars === 0}
          onClick={() => till.step(cart.keepTyped)}
        >
          {say.addTyped}
        </button>
        <button
          type="button"
          class="quiet"
          data-testid="clear-cart"
          disabled={cart.isEmpty(draft.value)}
          onClick={() => till.step(cart.empty)}
        >
          {say.clearCart}
        </button>
      </div>
      <ul data-testid="cart">
        {lines.map((line) => (
          <CartLine key={`${line.item} ${line.price}`} line={line} />
        ))}
      </ul>
    </section>
  );
}

function Methods(): JSX.Element {
  const say = words.value;
  return (
    <fieldset class="methods">
      <legend class="unseen">{say.method}</legend>
      {methods.map((method) => (
        <label key={method} class="method" data-testid={`method-${method}`}>
          <input
            type="radio"
            name="method"
            value={method}
            checked={draft.value.method === method}
            onChange={() => till.step(cart.choose(method))}
          />
          <span>{say.methods[method]}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Counter(): JSX.Element {
  const say = words.value;
  const items = market.value?.stall?.menu ?? [];
  const amount = cart.totalOf(draft.value);
  const cap = till.cap.value;
  return (
    <section class="till">
      <Display twoPads={items.length > 0} />
      {items.length > 0 && pad.value === "menu" ? <Menu items={items} /> : <Keypad />}
      <Cart />
      <div class="pay">
        <Methods />
        {cap !== null && <CapNote cap={cap} />}
        {till.overtaken.value && (
          <p class="note" role="alert" data-testid="overtaken">
            {say.overtaken}
          </p>
        )}
        <button
          type="button"
          class="charge wide"
          data-testid="charge"
          disabled={amount === 0 || !ready.value || cap !== null}
          onClick={till.charge}
        >
          {amount === 0 ? say.charge : say.chargeAmount(money(amount))}
        </button>
      </div>
    </section>
  );
}
