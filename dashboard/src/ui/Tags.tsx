/** The tags of a run. */
const MOST = 12;

export function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <span class="tags" title={tags.join(", ")}>
      {tags.slice(0, MOST).map((tag) => (
        <bdi class="tag" key={tag}>
          {tag}
        </bdi>
      ))}
      {tags.length > MOST && <span class="dim">+{tags.length - MOST}</span>}
    </span>
  );
}
