/** The address bar is the state of a view: what is on the screen can be shared by copying it. */
import { signal } from "@preact/signals";

export interface Address {
  /** The parts of the path, decoded. */
  path: readonly string[];
  query: Readonly<Record<string, string>>;
}

export type Changes = Readonly<Record<string, string | undefined>>;

export function parse(pathname: string, search: string): Address {
  return {
    path: pathname.split("/").filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

/** The text of an address; empty parameters are left out. */
export function print(path: readonly string[], query: Changes = {}): string {
  const kept = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  // Commas, colons and the like may stand in a query, and read better so.
  const search = kept.map(([key, text]) => `${encode(key)}=${encode(text)}`).join("&");
  return `/${path.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export const address = signal<Address>(here());

window.addEventListener("popstate", () => {
  address.value = here();
});

/** Opens another view. */
export function go(path: readonly string[], query: Changes = {}): void {
  history.pushState(null, "", print(path, query));
  address.value = here();
  window.scrollTo(0, 0);
}

/** Changes the view that is open. Small changes replace the entry of the history, so that Back leaves the view. */
export function change(changes: Changes, { push = false } = {}): void {
  const { path, query } = address.peek();
  const text = print(path, { ...query, ...changes });
  if (text === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", text);
  address.value = here();
}

/** A parameter of the view; reading it follows its changes. */
export function param(name: string): string {
  return address.value.query[name] ?? "";
}

function here(): Address {
  return parse(location.pathname, location.search);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/%(2C|3A|2F|40|24|21|2A|28|29)/g, decodeURIComponent)
    .replaceAll("%20", "+");
}
