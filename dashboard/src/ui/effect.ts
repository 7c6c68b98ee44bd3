/** Effects that do not wait until the browser has painted. */
import { effect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * `useSignalEffect`, run as soon as the element is in the page. Painting takes the time of a frame, which whoever waits for the
 * effect's work would wait as well.
 */
export function useEffectAtOnce(work: () => undefined | (() => void)): void {
  const latest = useRef(work);
  latest.current = work;
  useLayoutEffect(() => effect(() => latest.current()), []);
}
