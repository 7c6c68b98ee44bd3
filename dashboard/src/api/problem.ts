/** What went wrong with a call, in words for a person. */
import { Code, ConnectError } from "@connectrpc/connect";

export type Kind = "offline" | "login" | "denied" | "missing" | "invalid" | "busy" | "failed";

export interface Problem {
  kind: Kind;
  /** What happened, and what helps. */
  message: string;
}

const KINDS: Partial<Record<Code, Kind>> = {
  [Code.Unavailable]: "offline",
  [Code.Unauthenticated]: "login",
  [Code.PermissionDenied]: "denied",
  [Code.NotFound]: "missing",
  [Code.InvalidArgument]: "invalid",
  [Code.FailedPrecondition]: "invalid",
  [Code.OutOfRange]: "invalid",
  [Code.ResourceExhausted]: "busy",
  [Code.DeadlineExceeded]: "busy",
};

export function problem(error: unknown): Problem {
  const found = ConnectError.from(error);
  // A fetch that reaches nobody fails with a TypeError.
  if (error instanceof TypeError || found.cause instanceof TypeError) {
    return { kind: "offline", message: "The service does not answer." };
  }
  return {
    kind: KINDS[found.code] ?? "failed",
    message: found.rawMessage || "The call failed without a reason.",
  };
}

/** True for a call that the page itself ended. */
export function isAbort(error: unknown): boolean {
  return (
    (error instanceof DOMException && error.name === "AbortError") ||
    (error instanceof ConnectError && error.code === Code.Canceled)
  );
}
