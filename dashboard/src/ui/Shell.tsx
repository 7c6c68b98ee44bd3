/** What every page has: the bar at the top, the word about the service, and the place of the page. */
import type { ComponentChildren } from "preact";
import { lostSince } from "../api/connection";
import { secret, signOut, wanted } from "../api/login";
import { duration } from "../lib/format";
import { address } from "../state/address";
import { now } from "../state/clock";
import { dark, toggle } from "../state/theme";
import { helpOpen } from "./Help";
import { Icon } from "./icons";
import { Link } from "./Link";
import { Login } from "./Login";
import { Name } from "./Name";
import { trail } from "./trail";

export function Shell({ children }: { children: ComponentChildren }) {
  return (
    <>
      <header class="bar">
        <Link path={[]} class="brand" title="All projects">
          <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
            <path
              d="M4 7h7v6h7v6h6v6h4"
              fill="none"
              stroke="currentColor"
              stroke-width="3.4"
              stroke-linecap="round"
              stroke-linejoin="round"
            />
          </svg>
          <span>Stepline</span>
        </Link>
        <Trail />
        <div class="bar-tools">
          {secret.value && (
            <button type="button" class="quiet" onClick={signOut} title="Forget the key">
              Sign out
            </button>
          )}
          <button
            type="button"
            class="quiet"
            title="Dark or light (t)"
            aria-label="Dark or light"
            onClick={toggle}
          >
            <Icon name={dark.value ? "sun" : "moon"} />
          </button>
          <button
            type="button"
            class="quiet"
            title="Keys (?)"
            aria-label="Keys"
            onClick={() => {
              helpOpen.value = true;
            }}
          >
            <Icon name="help" />
          </button>
        </div>
      </header>
      <Lost />
      <main>{wanted.value ? <Login /> : children}</main>
    </>
  );
}

/** Where the person is: project, run. */
function Trail() {
  const [kind, name] = address.value.path;
  const steps =
    kind === "p" && name !== undefined
      ? [{ path: ["p", name], text: name }]
      : kind === "r"
        ? trail.value
        : [];
  return (
    <nav class="trail" aria-label="Where you are">
      {steps.map((step) => (
        <Link key={step.path.join("/")} path={step.path}>
          <Name text={step.text} />
        </Link>
      ))}
    </nav>
  );
}

function Lost() {
  if (!lostSince.value) return null;
  const span = Math.max(0, now.value - lostSince.value);
  return (
    <div class="lost" role="alert">
      <span class="pulse" aria-hidden="true" />
      The service does not answer{span > 5000 ? ` since ${duration(span)}` : ""}. This page goes on by itself
      when it is back.
    </div>
  );
}
