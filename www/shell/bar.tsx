// The status bar: always there, also when there is nothing to send. The count of owed events is its only badge.
import { computed } from "@preact/signals";
import type { Link, WhyNotSending } from "conch-edge";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { showAttention } from "./attention.tsx";
import { now } from "./clock.ts";
import { Glyph, type Tone } from "./glyph.tsx";
import type { Identity } from "./identity.ts";
import { limits } from "./limits.ts";
import { edge, opening, sendNow, snapshot } from "./outbox.ts";
import { newVersion, takeNewVersion } from "./renewal.ts";
import { ThemeSwitch } from "./themeswitch.tsx";
import { language, switchLanguage, words } from "./words/index.ts";

const linkTone: Record<Link, Tone> = {
  unknown: "doubt",
  up: "good",
  down: "wait",
  captive: "warn",
  misconfigured: "stop",
};

/** Waits that end at a known time. */
const timed = new Set<WhyNotSending>(["waiting-backoff", "waiting-told", "waiting-window"]);

/** What happens next with the owed events, in words; empty when nothing is owed. */
const outlook = computed(() => {
  const seen = snapshot.value;
  // Before the outbox is open nobody knows what is owed.
  if (opening.value.step === "failed") return words.value.why["storage-fault"];
  if (seen === null) return words.value.why.opening;
  if (seen.backlog === 0) return words.value.why["nothing-owed"];
  if (timed.has(seen.whyNotSending) && seen.nextWakeAt !== null) {
    return words.value.bar.nextTry(Math.max(0, Math.ceil((seen.nextWakeAt - now.value) / 1_000)));
  }
  return words.value.why[seen.whyNotSending];
});

/** It stands where "send now" stood: a finger already on its way to that one must not renew the page. */
function NewVersion(): JSX.Element {
  const { current: shownAt } = useRef(performance.now());
  const take = (): void => {
    if (performance.now() - shownAt >= limits.meantMs) takeNewVersion();
  };
  return (
    <button type="button" class="tone-calm" data-testid="new-version" onClick={take}>
      {words.value.bar.newVersion}
    </button>
  );
}

/** Sends now; or, once a new version is there and nothing would be disturbed, takes it. One place, so nothing moves. */
function SendOrRenew({ busy }: { busy: boolean }): JSX.Element {
  if (newVersion.value && !busy && snapshot.value?.backlog === 0) return <NewVersion />;
  return (
    <button type="button" class="plain" data-testid="send-now" disabled={edge.value === null} onClick={sendNow}>
      {words.value.bar.sendNow}
    </button>
  );
}

export function StatusBar({ me, busy }: { me: Identity; busy: boolean }): JSX.Element {
  const seen = snapshot.value;
  const link = seen?.link ?? "unknown";
  const backlog = seen?.backlog ?? 0;
  const dead = seen?.dead ?? 0;
  const say = words.value;
  return (
    <header class="bar">
      <div class="bar-facts">
        <span class={`pending ${backlog === 0 ? "tone-good" : "tone-wait"}`} title={say.bar.pendingLong(backlog)}>
          <span class="pending-count" data-testid="pending">
            {seen === null ? "–" : backlog}
          </span>
          <span class="pending-label">{say.bar.pending}</span>
        </span>
        <span class="bar-lines">
          <span class={`link ink-${linkTone[link]}`} data-testid="link" data-link={link}>
            <Glyph tone={linkTone[link]} size="small" />
            {say.link[link]}
          </span>
          <span class="outlook" data-testid="outlook" data-why={seen?.whyNotSending ?? "opening"}>
            {outlook}
          </span>
          <span class="outlook" data-testid="device" title={say.bar.device}>
            {me.device}
          </span>
        </span>
        <button
          type="button"
          class="quiet"
          data-testid="language"
          lang={language.value === "en" ? "zh-Hant" : "en"}
          aria-label={say.language.switchTo}
          onClick={() => void switchLanguage()}
        >
          {say.language.other}
        </button>
      </div>
      <div class="bar-actions">
        <button
          type="button"
          class={dead === 0 ? "quiet" : "tone-warn"}
          data-testid="attention"
          data-count={dead}
          aria-haspopup="dialog"
          onClick={showAttention}
        >
          <Glyph tone={dead === 0 ? "good" : "warn"} size="small" />
          {dead === 0 ? say.bar.noAttention : say.bar.attention(dead)}
        </button>
        <SendOrRenew busy={busy} />
        <ThemeSwitch />
      </div>
    </header>
  );
}
