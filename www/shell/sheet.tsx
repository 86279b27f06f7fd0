// A sheet over the whole page, with a title and a way back.
import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

export interface SheetProps {
  open: Signal<boolean>;
  name: string;
  title: string;
  close: string;
  children: ComponentChildren;
}

export function Sheet({ open, name, title, close, children }: SheetProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const shown = open.value;
  useEffect(() => {
    if (shown) dialog.current?.showModal();
    else dialog.current?.close();
  }, [shown]);
  const hide = (): void => {
    open.value = false;
  };
  return (
    <dialog
      ref={dialog}
      class={`sheet ${name}-sheet`}
      aria-labelledby={id}
      data-testid={`${name}-sheet`}
      onClose={hide}
    >
      <div class="sheet-head">
        <h2 id={id}>{title}</h2>
        {/* Closed at once: what a scanner types next must not fall into the sheet. */}
        <button type="button" class="plain" data-testid={`${name}-close`} onClick={() => dialog.current?.close()}>
          {close}
        </button>
      </div>
      {shown && children}
    </dialog>
  );
}
