/** What people say of a run: its name, its tags and its notes, changed in a dialog. */
import { useEffect, useRef, useState } from "preact/hooks";
import { failed } from "../../api/connection";
import type { Problem } from "../../api/problem";
import { runs } from "../../api/transport";
import type { Run } from "../../gen/stepline/v1/runs_pb";
import { Icon } from "../../ui/icons";
import { changesOf, withTag } from "./edits";

interface Props {
  run: Run;
  onClose(): void;
  /** The service has it. */
  onSaved(): void;
}

export function Editor({ run, onClose, onSaved }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  // What was there when it was opened: who edits beside us is not overwritten.
  const [before] = useState(run);
  const [name, setName] = useState(run.name);
  const [tags, setTags] = useState<readonly string[]>(run.tags);
  const [notes, setNotes] = useState(run.notes);
  const [typed, setTyped] = useState("");
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  useEffect(() => dialog.current?.showModal(), []);
  const save = async () => {
    const changes = changesOf(before, { name, notes, tags: withTag(tags, typed) });
    if (!changes) return onClose();
    setSaving(true);
    try {
      await runs.updateRun({ runId: run.runId, ...changes });
      onSaved();
      onClose();
    } catch (error) {
      setProblem(failed(error));
      setSaving(false);
    }
  };
  return (
    <dialog
      class="editor"
      aria-label={`Edit run ${run.runId}`}
      ref={dialog}
      onClose={onClose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        void save();
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label>
          Name
          <input
            type="text"
            dir="auto"
            value={name}
            placeholder={run.runId}
            spellcheck={false}
            autofocus
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <div class="field">
          <label for="new-tag">Tags</label>
          <TagList tags={tags} onChange={setTags} />
          <input
            id="new-tag"
            type="text"
            dir="auto"
            value={typed}
            placeholder="Type a tag, and Enter"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.ctrlKey || event.metaKey || event.isComposing) return;
              if (event.key === "Enter" && typed) {
                // It adds the tag, it does not send the form.
                event.preventDefault();
                setTags(withTag(tags, typed));
                setTyped("");
              } else if (event.key === "Backspace" && !typed) setTags(tags.slice(0, -1));
            }}
          />
        </div>
        <label>
          Notes
          <textarea
            dir="auto"
            rows={8}
            value={notes}
            onInput={(event) => setNotes(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="bad" role="alert">
            Nothing was changed. {problem.message}
          </p>
        )}
        <div class="form-end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={saving} title="Save (Ctrl + Enter)">
            {saving ? "Saving …" : "Save"}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function TagList({ tags, onChange }: { tags: readonly string[]; onChange(tags: readonly string[]): void }) {
  if (!tags.length) return null;
  return (
    <ul class="tag-list">
      {tags.map((tag) => (
        <li class="tag" key={tag}>
          <bdi title={tag}>{tag}</bdi>
          <button
            type="button"
            class="quiet"
            aria-label={`Remove the tag ${tag}`}
            onClick={() => onChange(tags.filter((other) => other !== tag))}
          >
            <Icon name="close" size={9} />
          </button>
        </li>
      ))}
    </ul>
  );
}
