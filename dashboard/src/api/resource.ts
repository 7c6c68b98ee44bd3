/** Data behind a call: loaded anew when its key changes or the service comes back, kept on the screen meanwhile. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useEffectAtOnce } from "../ui/effect";
import { epoch, failed } from "./connection";
import { secret } from "./login";
import { isAbort, type Problem } from "./problem";

export interface Resource<T> {
  data: T | undefined;
  problem: Problem | undefined;
  loading: boolean;
  reload(): void;
}

interface Options {
  /** Milliseconds after which it is loaded again; 0 for never. */
  refresh?: number;
}

/** Calls LOAD for each KEY, and shows what it gave; an empty key loads nothing. */
export function useResource<T>(
  key: string,
  load: (abort: AbortSignal) => Promise<T>,
  { refresh = 0 }: Options = {},
): Resource<T> {
  const state = useSignal<{ key: string; data?: T; problem?: Problem; loading: boolean }>({
    key,
    loading: true,
  });
  const latest = useRef(load);
  latest.current = load;
  const round = useSignal(0);
  const running = useRef<AbortController | undefined>(undefined);
  const wantedKey = useSignal(key);
  wantedKey.value = key;

  // What is shown next hangs on the answer: it is asked for before the browser paints.
  useEffectAtOnce(() => {
    const key = wantedKey.value;
    void [epoch.value, secret.value, round.value];
    running.current?.abort();
    if (!key) return;
    const abort = new AbortController();
    running.current = abort;
    const before = state.peek();
    state.value = { ...before, loading: true };
    latest.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) state.value = { key, data, loading: false };
      },
      (error: unknown) => {
        if (abort.signal.aborted || isAbort(error)) return;
        const problem = failed(error);
        const kept = state.peek();
        // What was there stays on the screen while the service is away.
        const stays = problem.kind === "offline" && kept.data !== undefined && kept.key === key;
        state.value = stays ? { ...kept, loading: false } : { key, problem, loading: false };
      },
    );
  });
  useEffect(() => () => running.current?.abort(), []);
  useEffect(() => {
    if (!refresh) return;
    const timer = setInterval(() => {
      if (!document.hidden && !state.peek().loading) round.value += 1;
    }, refresh);
    return () => clearInterval(timer);
  }, [refresh]);

  const { data, problem, loading } = state.value;
  return { data, problem, loading, reload: () => (round.value += 1) };
}
