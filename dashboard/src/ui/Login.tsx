/** Asks for the key of a service that has keys. */
import { useState } from "preact/hooks";
import { secret, signIn, wanted } from "../api/login";

export function Login() {
  const [remember, setRemember] = useState(false);
  return (
    <form
      class="login"
      onSubmit={(event) => {
        event.preventDefault();
        const field = event.currentTarget.elements.namedItem("key");
        if (field instanceof HTMLInputElement && field.value.trim()) signIn(field.value, { remember });
      }}
    >
      <h1>Sign in</h1>
      <p>This service reads out runs to those who have a key with the scope “read”.</p>
      {secret.value && (
        <p class="bad" role="alert">
          {wanted.value}
        </p>
      )}
      <label>
        Key
        <input
          type="password"
          name="key"
          class="code"
          autocomplete="current-password"
          spellcheck={false}
          required
          autofocus
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={remember}
          onChange={(event) => setRemember(event.currentTarget.checked)}
        />
        Remember it in this browser
      </label>
      <button type="submit" class="primary">
        Sign in
      </button>
      <p class="dim">
        Make one on the service's machine: <code>stepline key create --scope read --project NAME</code>
      </p>
    </form>
  );
}
