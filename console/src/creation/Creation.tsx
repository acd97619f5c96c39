/** The page that creates a deployment: what is tried, under which policy, with how much capital. */
import { type FormEvent, type ReactElement, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { ApiError } from '../api/client';
import { StrategiesDocument, StrategyDocument } from '../api/generated/graphql';
import { useApi } from '../api/hooks';
import { mayBeDone, newKey, withUnknownOutcome } from '../api/retry';
import { configOf, type Draft, PEOPLE_GROUP, POLICY_GROUPS, readDraft, writeDraft } from '../policy/draft';
import { PolicyForm } from '../policy/PolicyForm';
import { usePolicyProblem, useSettled } from '../policy/useSimulation';
import { EmptyState } from '../ui/EmptyState';
import { Sentence } from '../ui/Sentence';
import { usePageTitle } from '../ui/usePageTitle';
import { useMay } from '../ui/viewer';
import { Effects } from './Effects';
import { NameField } from './NameField';
import { type Created, createDeployment, NAMES, type Name, type Names } from './newDeployment';
import { Outcome } from './Outcome';

/** So many are proposed; others can be written. */
const KNOWN_STRATEGIES = 100;
const GROUPS = [...POLICY_GROUPS, PEOPLE_GROUP];

export default function Creation(): ReactElement {
  usePageTitle('New deployment');
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>New deployment</h1>
        <p className="quiet">A canary version, tried alongside the live version.</p>
      </header>
      {useMay('OPERATOR') ? (
        <CreationForm />
      ) : (
        <EmptyState title="This is for operators">
          Your role can view deployments but not create them.
        </EmptyState>
      )}
    </main>
  );
}

interface Refusal {
  readonly message: string;
  readonly path: readonly string[];
}

function CreationForm(): ReactElement {
  const [params, setParams] = useSearchParams();
  const [, go] = useLocation();
  const draft = readDraft(params.get('policy'));
  const config = configOf(draft, GROUPS);
  const [names, setNames] = useState<Names>(() => namesOf(params));
  const [reason, setReason] = useState('');
  const [key, setKey] = useState(newKey);
  const [sending, setSending] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [made, setMade] = useState<Created | null>(null);
  const policyProblem = usePolicyProblem(config);
  const { data } = useApi(StrategiesDocument, { first: KNOWN_STRATEGIES, after: null });
  const strategies = data?.strategies.nodes ?? [];
  const name = names.strategyId.trim();
  const settled = useSettled(name);
  const named = useApi(StrategyDocument, { id: settled, first: 1 }, { enabled: settled !== '' });
  /** Null where there is none of this name, undefined until that is known. */
  const strategy = name === settled ? named.data?.strategy : undefined;

  /** Another input is another request. */
  const edit = (change: () => void) => {
    change();
    setKey(newKey());
    setRefusal(null);
  };
  const setName = (name: Name) => (value: string) => edit(() => setNames({ ...names, [name]: value }));
  const setDraft = (next: Draft) =>
    edit(() =>
      setParams(
        (before) => {
          const changed = new URLSearchParams(before);
          const text = writeDraft(next);
          if (text === null) changed.delete('policy');
          else changed.set('policy', text);
          return changed;
        },
        { replace: true },
      ),
    );

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setRefusal(null);
    try {
      const answer = await createDeployment({ names, config, reason, key });
      const { created, deployed } = answer;
      if (!created.success || !created.deployment) {
        setRefusal(created.error ?? { message: created.message, path: [] });
        // Another press is another request: under this key the refusal is stored.
        setKey(newKey());
      } else if ((created.warnings ?? []).length === 0 && deployed?.success !== false) {
        go(`/deployments/${encodeURIComponent(created.deployment.id)}`);
      } else setMade(answer);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (mayBeDone(error)) setRefusal({ message: withUnknownOutcome(message), path: [] });
      else setRefusal({ message, path: error instanceof ApiError ? error.path : [] });
    } finally {
      setSending(false);
    }
  };

  if (made) return <Outcome made={made} />;
  const fieldOf = (name: Name) => ({
    value: names[name],
    problem: refusal?.path.at(-1) === name ? refusal.message : null,
    onChange: setName(name),
  });
  const elsewhere = refusal !== null && !NAMES.some((name) => name === refusal.path.at(-1));
  const busy = strategy?.liveDeployments ?? [];
  return (
    <form className="creation" onSubmit={(event) => void submit(event)}>
      <section className="panel" aria-labelledby="tried">
        <h2 id="tried">Versions</h2>
        <div className="name-fields">
          <NameField
            label="Strategy"
            hint={
              busy.length > 0
                ? `On trial already: ${busy.map((each) => each.canaryVersionId).join(', ')}. A strategy has one canary per chain.`
                : 'Its name; a new one becomes known with this.'
            }
            required
            options={strategies.map(({ id }) => id)}
            {...fieldOf('strategyId')}
          />
          <NameField
            label="Canary version"
            hint="The version to try: a tag, a git sha."
            required
            {...fieldOf('canaryVersionId')}
          />
          <NameField
            label="Stable version"
            hint={
              strategy
                ? `${strategy.stableVersionId} unless given: it is live today.`
                : 'The version that is live today.'
            }
            placeholder={strategy?.stableVersionId}
            required={strategy === null}
            {...fieldOf('stableVersionId')}
          />
          <NameField label="Chain" hint="The network or venue." placeholder="unknown" {...fieldOf('chain')} />
          <NameField label="Id" hint="Of your choosing; Serin makes one unless given." {...fieldOf('id')} />
        </div>
      </section>
      <section className="panel policy" aria-labelledby="policy">
        <h2 id="policy">Policy</h2>
        <PolicyForm groups={GROUPS} draft={draft} problem={policyProblem} onChange={setDraft} />
      </section>
      <section className="panel" aria-labelledby="capital">
        <h2 id="capital">Capital</h2>
        <div className="name-fields">
          <NameField
            label="Capital of both sides together, USD"
            hint="Deployed immediately; without it the deployment stays pending."
            placeholder="none yet"
            decimal
            {...fieldOf('capitalUsd')}
          />
          <NameField
            label="Reason, for the record"
            value={reason}
            problem={null}
            onChange={(value) => edit(() => setReason(value))}
          />
        </div>
        <Effects names={names} draft={draft} />
        {elsewhere ? (
          <p className="problem" role="alert">
            <Sentence text={refusal.message} />
          </p>
        ) : null}
        <div className="buttons">
          <button type="submit" className="button button-main" disabled={sending || policyProblem !== null}>
            {sending ? 'Sending …' : names.capitalUsd.trim() === '' ? 'Create' : 'Create and deploy'}
          </button>
        </div>
      </section>
    </form>
  );
}

const namesOf = (params: URLSearchParams): Names => ({
  strategyId: params.get('strategy') ?? '',
  canaryVersionId: params.get('canary') ?? '',
  stableVersionId: params.get('stable') ?? '',
  chain: params.get('chain') ?? '',
  id: '',
  capitalUsd: params.get('capital') ?? '',
});
