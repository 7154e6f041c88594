/** Light or dark: as the system says, until a person says otherwise. */
import { computed, effect, signal } from "@preact/signals";

type Theme = "light" | "dark";
const KEY = "atlas-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const isSystemDark = signal(system.matches);
system.addEventListener("change", () => {
  isSystemDark.value = system.matches;
});

/** A page opened from disk may have no storage. */
function remembered(): Theme | null {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : null;
  } catch {
    return null;
  }
}

const chosen = signal<Theme | null>(remembered());
export const isDark = computed(() => (chosen.value === null ? isSystemDark.value : chosen.value === "dark"));

export function toggleTheme(): void {
  chosen.value = isDark.value ? "light" : "dark";
  try {
    localStorage.setItem(KEY, chosen.value);
  } catch {
    // It holds until the page is closed.
  }
}

effect(() => {
  if (chosen.value) document.documentElement.dataset["theme"] = chosen.value;
});
