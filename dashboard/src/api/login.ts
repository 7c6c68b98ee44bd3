/** The API key of a service that asks for one. It is kept for the tab, or in the browser when the person says so. */
import { signal } from "@preact/signals";

const NAME = "stepline.key";

export const secret = signal(sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "");
/** Why the page asks for a key; empty while it does not. */
export const wanted = signal("");

export function signIn(key: string, options: { remember: boolean }): void {
  secret.value = key.trim();
  (options.remember ? localStorage : sessionStorage).setItem(NAME, secret.value);
  wanted.value = "";
}

export function signOut(): void {
  secret.value = "";
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}
