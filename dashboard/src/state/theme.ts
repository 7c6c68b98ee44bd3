/** Dark or light: as the system says, or as the person chose. */
import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const NAME = "stepline.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

export const choice = signal<Choice>(read());
export const dark = computed(() => (choice.value === "system" ? systemDark.value : choice.value === "dark"));

effect(() => {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
});

/** The other one of dark and light. */
export function toggle(): void {
  choice.value = dark.value ? "light" : "dark";
  localStorage.setItem(NAME, choice.value);
}

function read(): Choice {
  const kept = localStorage.getItem(NAME);
  return kept === "light" || kept === "dark" ? kept : "system";
}
