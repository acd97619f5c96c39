/** Where a server that asks for credentials gets them. They are kept for this tab's session only. */
import { type FormEvent, type ReactElement, useState } from 'react';
import { signIn } from './api/session';
import { usePageTitle } from './ui/usePageTitle';

export function SignIn({ refusal }: { readonly refusal: string | null }): ReactElement {
  usePageTitle('Sign in');
  const [text, setText] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== '') signIn(text);
  };
  return (
    <main className="sign-in">
      <form className="panel" onSubmit={submit}>
        <h1>Sign in to Serin</h1>
        <p className="quiet">
          Paste an API key (<code>serin keys create</code> makes one) or a token of your identity provider. It
          is kept until this tab is closed.
        </p>
        <label>
          Key or token
          <input
            type="password"
            autoComplete="off"
            required
            value={text}
            aria-describedby="refusal"
            onChange={({ target }) => setText(target.value)}
          />
        </label>
        <p id="refusal" className="problem" role="alert">
          {refusal}
        </p>
        <button type="submit" className="button button-main">
          Sign in
        </button>
      </form>
    </main>
  );
}
