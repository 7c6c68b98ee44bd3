/** A text that somebody typed: in its own direction, on one line, whole when pointed at. */
export function Name({ text, class: className = "" }: { text: string; class?: string }) {
  return (
    <bdi class={`name ${className}`} title={text}>
      {text}
    </bdi>
  );
}
