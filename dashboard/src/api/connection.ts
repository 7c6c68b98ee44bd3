/** Whether the service answers. Who fails to reach it says so here; the page then asks until it is back. */
import { signal } from "@preact/signals";
import { wanted } from "./login";
import { type Problem, problem } from "./problem";

/** When the service was first missed, in ms since the epoch; 0 while it answers. */
export const lostSince = signal(0);
/** Counts the returns of the service; whoever shows data loads it anew then. */
export const epoch = signal(0);

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;

/** Notes what a failed call says about the service, and returns it in words. */
export function failed(error: unknown): Problem {
  const found = problem(error);
  if (found.kind === "offline") lost();
  if (found.kind === "login") wanted.value = found.message;
  return found;
}

function lost(): void {
  if (lostSince.peek()) return;
  lostSince.value = Date.now();
  void recover();
}

async function recover(): Promise<void> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 1.6)) {
    await new Promise((wake) => setTimeout(wake, pause));
    if (await answers()) break;
  }
  lostSince.value = 0;
  epoch.value += 1;
}

async function answers(): Promise<boolean> {
  try {
    const reply = await fetch("/readyz", { cache: "no-store" });
    return reply.ok;
  } catch {
    return false;
  }
}
