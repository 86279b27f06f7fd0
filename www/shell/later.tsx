// Parts of a page that nobody needs before a person asks for them: they come once the page works, and the first to be asked
// for may come with a moment's delay.
import { signal } from "@preact/signals";
import type { FunctionComponent, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { snapshot } from "./outbox.ts";
import { words } from "./words/index.ts";

const parts: (() => Promise<void>)[] = [];

/** What stands where a part did not come. A reload without network might take away what is there, so it waits for the network. */
function Missing(): JSX.Element {
  const say = words.value.opening;
  return (
    <div class="note" role="alert" data-testid="part-missing">
      <p>{say.part}</p>
      {snapshot.value?.link === "up" && (
        <button type="button" class="plain wide" data-testid="part-reload" onClick={() => location.reload()}>
          {say.reload}
        </button>
      )}
    </div>
  );
}

/** The part that `fetchPart` brings. Some browsers give a module that once failed no second try, so that needs a reload. */
export function later<P>(fetchPart: () => Promise<FunctionComponent<P>>): FunctionComponent<P> {
  const part = signal<FunctionComponent<P> | null>(null);
  const failed = signal(false);
  const come = async (): Promise<void> => {
    if (part.peek() !== null) return;
    try {
      part.value = await fetchPart();
    } catch {
      failed.value = true;
    }
  };
  parts.push(come);
  return (props) => {
    useEffect(() => void come(), []);
    const Part = part.value;
    if (Part !== null) return <Part {...props} />;
    return failed.value ? <Missing /> : null;
  };
}

/** Brings them all, so that they are there before the network goes. */
export function bringParts(): void {
  for (const come of parts) void come();
}
