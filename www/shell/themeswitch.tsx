// The button that changes the theme, for every page.
import type { JSX } from "preact";
import { switchTheme, theme } from "./theme.ts";
import { words } from "./words/index.ts";

export function ThemeSwitch(): JSX.Element {
  const say = words.value.theme;
  return (
    <button
      type="button"
      class="quiet bar-theme"
      data-testid="theme"
      aria-label={theme.value === "night" ? say.contrast : say.night}
      onClick={switchTheme}
    >
      <svg class="glyph glyph-small" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <circle cx="12" cy="12" r="9" />
        <path d="M12 3a9 9 0 0 1 0 18z" fill="currentcolor" />
      </svg>
    </button>
  );
}
