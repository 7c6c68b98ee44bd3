/** A link inside the page: opens without a load, and with the usual keys in a new tab. */
import type { ComponentChildren } from "preact";
import { type Changes, go, print } from "../state/address";

interface Props {
  path: readonly string[];
  query?: Changes;
  class?: string;
  title?: string;
  current?: boolean;
  children: ComponentChildren;
}

export function Link({ path, query = {}, current = false, children, ...rest }: Props) {
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(path, query);
  };
  return (
    <a href={print(path, query)} onClick={follow} aria-current={current ? "page" : undefined} {...rest}>
      {children}
    </a>
  );
}
