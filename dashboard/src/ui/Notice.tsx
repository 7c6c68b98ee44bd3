/** What stands where data would, when there is none. */
import type { ComponentChildren } from "preact";
import type { Problem } from "../api/problem";

export function Notice({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="notice" role="status">
      <h2>{title}</h2>
      {children && <div class="notice-text">{children}</div>}
    </div>
  );
}

const TITLES: Record<Problem["kind"], string> = {
  offline: "The service does not answer",
  login: "A key is needed",
  denied: "This key may not read that",
  missing: "Not found",
  invalid: "That cannot be shown",
  busy: "The service is busy",
  failed: "Something went wrong",
};

export function Failure({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <Notice title={TITLES[problem.kind]}>
      {problem.kind !== "offline" && <p>{problem.message}</p>}
      {again && problem.kind !== "offline" && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </Notice>
  );
}
