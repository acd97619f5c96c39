/** What a policy would have decided on the record of a deployment. */
import { type ReactElement, useState } from 'react';
import { request } from '../api/client';
import {
  type CanaryConfigInput,
  ReplayPolicyDocument,
  type ReplayPolicyQuery,
} from '../api/generated/graphql';
import { count, words } from '../format';
import { Instant } from '../ui/Instant';
import { DecisionBadge } from '../ui/Status';
import { OfOtherSettings } from './OfOtherSettings';

interface ReplayProps {
  readonly deploymentId: string;
  readonly config: CanaryConfigInput;
  readonly enabled: boolean;
}

type Answer = NonNullable<ReplayPolicyQuery['replayPolicy']>;

interface Result {
  readonly answer: Answer;
  /** The policy that was replayed. */
  readonly config: string;
}

export function Replay({ deploymentId, config, enabled }: ReplayProps): ReactElement {
  const [result, setResult] = useState<Result | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [running, setRunning] = useState(false);
  const replay = async () => {
    setRunning(true);
    setProblem(null);
    try {
      const { replayPolicy } = await request(ReplayPolicyDocument, { id: deploymentId, config });
      setResult(replayPolicy && { answer: replayPolicy, config: JSON.stringify(config) });
      if (!replayPolicy) setProblem(`There is no deployment ${deploymentId}`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setRunning(false);
    }
  };
  return (
    <>
      <div className="buttons">
        <button
          type="button"
          className="button button-main"
          disabled={!enabled || running}
          onClick={() => void replay()}
        >
          {running ? 'Replaying …' : `Replay on ${deploymentId}`}
        </button>
      </div>
      {problem ? (
        <p className="problem" role="alert">
          {problem}
        </p>
      ) : null}
      {result && result.config !== JSON.stringify(config) ? <OfOtherSettings again="Replay" /> : null}
      {result ? <Replayed answer={result.answer} /> : null}
    </>
  );
}

function Replayed({ answer }: { readonly answer: Answer }): ReactElement {
  return (
    <div className="replayed">
      <p className="headline" role="status">
        {words(answer.outcome)} <span className="quiet">after {count(answer.checks)} checks</span>
        {answer.decidedAt ? (
          <>
            {' '}
            at <Instant at={answer.decidedAt} />
          </>
        ) : null}
      </p>
      <ol className="decisions">
        {answer.decisions.map(({ check, at, decision, cause, reasons }) => (
          <li key={`${check} ${decision}`}>
            <p>
              <DecisionBadge decision={decision} /> check {check}, <Instant at={at} />{' '}
              <span className="quiet">{words(cause).toLowerCase()}</span>
            </p>
            <ul>
              {reasons.map((reason) => (
                <li key={reason}>{reason}</li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
      {answer.notes.map((note) => (
        <p key={note} className="quiet">
          {note}
        </p>
      ))}
    </div>
  );
}
