/** The state of a run, as a sign and a word. */
const KNOWN = new Set(["running", "finished", "failed", "crashed", "preempted"]);

export function State({ state }: { state: string }) {
  return (
    <span class={`state ${KNOWN.has(state) ? state : ""}`}>
      <i aria-hidden="true" />
      {state}
    </span>
  );
}
