// The sheet of dead letters; what stands in it comes later, for most nights have none.
import { signal } from "@preact/signals";
import type { DeadLetter } from "conch-edge";
import type { JSX } from "preact";
import { later } from "./later.tsx";
import { readDeadLetters } from "./outbox.ts";
import { Sheet } from "./sheet.tsx";
import { words } from "./words/index.ts";

const shown = signal(false);

export function showAttention(): void {
  shown.value = true;
  void readDeadLetters().catch(() => undefined);
}

export function hideAttention(): void {
  shown.value = false;
}

/** A page's own ways out of a dead letter. `act` runs one and shows why it failed; `askDiscard` asks for the reason. */
export type Remedies = (props: {
  letter: DeadLetter;
  act: (work: Promise<void>) => void;
  askDiscard: () => void;
}) => JSX.Element;

const Letters = later(async () => (await import("./letters.tsx")).Letters);

export function AttentionSheet({ remedies }: { remedies?: Remedies | undefined }): JSX.Element {
  const say = words.value.dead;
  return (
    <Sheet open={shown} name="attention" title={say.title} close={say.close}>
      <Letters remedies={remedies} />
    </Sheet>
  );
}
