/** A button that opens a small panel; it closes by Escape or a click beside it. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: ComponentChildren;
  title?: string;
  class?: string;
  children: (close: () => void) => ComponentChildren;
}

export function Menu({ label, title, children, ...rest }: Props) {
  const [open, setOpen] = useState(false);
  const [side, setSide] = useState("left");
  const root = useRef<HTMLDivElement>(null);
  // The focus stays here, not with what is gone.
  const leave = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const byKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      leave();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", byKey, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", byKey, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        title={title}
        aria-label={title}
        aria-expanded={open}
        onClick={(event) => {
          // The panel hangs where there is room for it.
          const { left, right } = event.currentTarget.getBoundingClientRect();
          setSide(left + right > window.innerWidth ? "right" : "left");
          setOpen(!open);
        }}
        {...rest}
      >
        {label}
      </button>
      {open && <div class={`menu-panel ${side}`}>{children(leave)}</div>}
    </div>
  );
}
