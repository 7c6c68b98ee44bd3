/** From what somebody typed of a run to what the service is told: only what is other than before. */

export interface Said {
  name: string;
  notes: string;
  tags: readonly string[];
}

export interface Changes {
  name?: string;
  notes?: string;
  addTags?: string[];
  removeTags?: string[];
}

/** Undefined where nothing was changed. */
export function changesOf(before: Said, after: Said): Changes | undefined {
  const changes: Changes = {};
  const name = after.name.trim();
  if (name !== before.name) changes.name = name;
  if (after.notes !== before.notes) changes.notes = after.notes;
  const added = after.tags.filter((tag) => !before.tags.includes(tag));
  const removed = before.tags.filter((tag) => !after.tags.includes(tag));
  if (added.length) changes.addTags = added;
  if (removed.length) changes.removeTags = removed;
  return Object.keys(changes).length ? changes : undefined;
}

/** TAGS and the one that was TYPED, once. */
export function withTag(tags: readonly string[], typed: string): readonly string[] {
  const tag = typed.trim();
  return tag && !tags.includes(tag) ? [...tags, tag] : tags;
}
