/** Policies tried before they are trusted: simulated, or replayed on a record; two of them side by side. */
import type { ReactElement } from 'react';
import { Link, useSearchParams } from 'wouter';
import { usePageTitle } from '../ui/usePageTitle';
import { ASSUMPTION_SETTINGS, type Draft, readDraft, writeDraft } from './draft';
import { PolicyPanel } from './PolicyPanel';
import { SettingField } from './SettingField';

export default function PolicyLab(): ReactElement {
  usePageTitle('Policy lab');
  const [params, setParams] = useSearchParams();
  const replay = params.get('replay');
  const drafts = { a: readDraft(params.get('a')), b: readDraft(params.get('b')) };
  const assumptions = readDraft(params.get('market'));
  const two = params.has('b');

  const change = (name: string, value: string | null) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === null) next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const setDraft = (name: 'a' | 'b', draft: Draft) =>
    change(name, writeDraft(draft) ?? (name === 'b' ? '{}' : null));

  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>Policy lab</h1>
        <p className="quiet">
          {replay === null ? (
            'What a policy decides on simulated canaries of known quality.'
          ) : (
            <>
              What a policy would have decided on{' '}
              <Link href={`/deployments/${encodeURIComponent(replay)}`}>{replay}</Link>.{' '}
              <Link href="/policy">Simulate instead</Link>
            </>
          )}
        </p>
        <button
          type="button"
          className="button"
          onClick={() => change('b', two ? null : (writeDraft(drafts.a) ?? '{}'))}
        >
          {two ? 'One policy' : 'Compare with a second policy'}
        </button>
      </header>
      {replay === null ? (
        <details className="panel assumptions">
          <summary>Assumptions about the market</summary>
          <div className="policy-form">
            <fieldset>
              <legend className="hidden">Assumptions</legend>
              {ASSUMPTION_SETTINGS.map((setting) => (
                <SettingField
                  key={setting.path}
                  setting={setting}
                  value={assumptions[setting.path] ?? ''}
                  problem={null}
                  onChange={(value) =>
                    change('market', writeDraft({ ...assumptions, [setting.path]: value }))
                  }
                />
              ))}
            </fieldset>
          </div>
        </details>
      ) : null}
      <div className={`policies ${two ? 'policies-two' : ''}`}>
        <PolicyPanel
          title={two ? 'Policy A' : 'Policy'}
          draft={drafts.a}
          assumptions={assumptions}
          replay={replay}
          onChange={(draft) => setDraft('a', draft)}
        />
        {two ? (
          <PolicyPanel
            title="Policy B"
            draft={drafts.b}
            assumptions={assumptions}
            replay={replay}
            onChange={(draft) => setDraft('b', draft)}
          />
        ) : null}
      </div>
    </main>
  );
}
