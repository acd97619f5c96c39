/** Settings of a live deployment: what is safer and what is looser is shown before anything is sent. */
import { type ReactElement, useState } from 'react';
import { request } from '../api/client';
import {
  type CanaryConfigInput,
  type ConfigChangeFieldsFragment,
  ConfigPreviewDocument,
  type DetailFragment,
  UpdateConfigDocument,
  type UpdateConfigInput,
} from '../api/generated/graphql';
import { useApi } from '../api/hooks';
import {
  configOf,
  type Draft,
  PEOPLE_GROUP,
  POLICY_GROUPS,
  type Setting,
  type SettingGroup,
} from '../policy/draft';
import { PolicyForm } from '../policy/PolicyForm';
import { useSettled } from '../policy/useSimulation';
import { FormDialog, textOf } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { useViewer } from '../ui/viewer';

/** Settings that the evidence rests on: they are in the form only before capital is deployed. */
const FIXED: ReadonlySet<string> = new Set([
  'canaryPercent',
  'checkIntervalSeconds',
  'comparison',
  'metricsProvider',
  'promotionCriteria.minPnlRatio',
]);

interface ConfigChangeProps {
  readonly deployment: DetailFragment;
  /** Shows the state that a command's answer brought. */
  readonly onState: (deployment: DetailFragment) => void;
  readonly onDone: (message: string) => void;
}

export function ConfigChange({ deployment, onState, onDone }: ConfigChangeProps): ReactElement {
  const [draft, setDraft] = useState<Draft>({});
  const groups = groupsFor(deployment);
  const config = configOf(draft, groups);
  return (
    <FormDialog
      wide
      label="Change settings …"
      title="Change settings"
      action="Change"
      onSubmit={(fields, key) =>
        send(
          {
            deploymentId: deployment.id,
            config,
            reason: textOf(fields, 'reason'),
            expectedRevision: deployment.revision,
            idempotencyKey: key,
          },
          onState,
        )
      }
      onDone={(message) => {
        setDraft({});
        onDone(message);
      }}
    >
      <p className="quiet">
        Empty fields stay as they are. A safer setting takes effect immediately; a looser one needs the same
        approval as a promotion. <code>none</code> switches a limit off.
      </p>
      <PolicyForm groups={groups} draft={draft} problem={null} onChange={setDraft} />
      <Preview deploymentId={deployment.id} revision={deployment.revision} config={config} />
      <label>
        Reason, for the record
        <textarea name="reason" rows={2} />
      </label>
    </FormDialog>
  );
}

async function send(input: UpdateConfigInput, onState: ConfigChangeProps['onState']) {
  const { answer } = await request(UpdateConfigDocument, { input });
  if (answer.deployment) onState(answer.deployment);
  return answer;
}

/** What the API says that the settings would do. */
function Preview({
  deploymentId,
  revision,
  config,
}: {
  readonly deploymentId: string;
  /** Another state may have other settings: what is looser or safer is asked anew. */
  readonly revision: number;
  readonly config: CanaryConfigInput;
}): ReactElement | null {
  const settled: CanaryConfigInput = JSON.parse(useSettled(JSON.stringify(config)));
  const isEmpty = Object.keys(settled).length === 0;
  const { data, error } = useApi(
    ConfigPreviewDocument,
    { id: deploymentId, config: settled },
    { enabled: !isEmpty, of: revision },
  );
  const preview = data?.deployment?.configPreview;
  if (isEmpty) return null;
  const problem = error?.message ?? preview?.error?.message;
  if (problem) return <p className="problem">{problem}</p>;
  if (!preview) return null;
  if (preview.changes.length === 0) return <p className="quiet">Nothing would change.</p>;
  return (
    <div role="status">
      <Changes changes={preview.changes} />
      <p>
        {preview.approvalRequired
          ? 'Nothing is changed yet: another person must approve it within a day.'
          : 'It takes effect immediately.'}
      </p>
    </div>
  );
}

function Changes({ changes }: { readonly changes: readonly ConfigChangeFieldsFragment[] }): ReactElement {
  return (
    <ul className="effects">
      {changes.map(({ field, before, after, effect }) => (
        <li key={field}>
          <b>{effect === 'SAFER' ? '▼ safer' : '▲ looser'}</b>: {field} from {before ?? 'none'} to{' '}
          {after ?? 'none'}
        </li>
      ))}
    </ul>
  );
}

/** A change that somebody has asked for, and the button that approves it. */
export function RequestedChange({ deployment, onState, onDone }: ConfigChangeProps): ReactElement | null {
  const { actor } = useViewer();
  const { configRequest, availableActions } = deployment;
  if (!configRequest) return null;
  const { by, at, endsAt, config, changes } = configRequest;
  const mayApprove = availableActions.includes('UPDATE_CONFIG') && by !== actor;
  return (
    <div className="approval">
      <p>
        <span aria-hidden="true">⚑</span> <b>{by}</b> requested other settings at <Instant at={at} />. Another
        person must approve them before <Instant at={endsAt} />.
      </p>
      <Changes changes={changes} />
      {mayApprove ? (
        <FormDialog
          label="Approve settings …"
          title="Approve settings"
          tone="main"
          action="Approve settings"
          onSubmit={(fields, key) =>
            send(
              {
                deploymentId: deployment.id,
                approve: config.hash,
                reason: textOf(fields, 'reason'),
                idempotencyKey: key,
              },
              onState,
            )
          }
          onDone={onDone}
        >
          <Changes changes={changes} />
          <label>
            Reason, for the record
            <textarea name="reason" rows={2} />
          </label>
        </FormDialog>
      ) : null}
    </div>
  );
}

/** The settings that can change now, each with its present value. */
function groupsFor({ config, status }: DetailFragment): SettingGroup[] {
  const isFixed = (path: string) => status !== 'PENDING' && (FIXED.has(path) || path.startsWith('evidence.'));
  const ramp = config.steps.length > 1 ? 'observationPeriodMinutes' : 'steps';
  return [...POLICY_GROUPS, PEOPLE_GROUP]
    .map(({ title, settings }) => ({
      title,
      settings: settings
        .filter(({ path }) => path !== ramp && !isFixed(path))
        .map(
          (each): Setting => ({
            ...each,
            standard: presentValue(config, each.path),
            mayBeOff: each.path.startsWith('guardrails.'),
          }),
        ),
    }))
    .filter(({ settings }) => settings.length > 0);
}

function presentValue(config: DetailFragment['config'], path: string): string {
  if (path === 'steps') {
    return config.steps
      .map(
        ({ canaryPercent, minutes, gate }) =>
          `${Number(canaryPercent)}:${minutes}${gate === 'MANUAL' ? 'm' : ''}`,
      )
      .join(', ');
  }
  let value: unknown = config;
  for (const name of path.split('.')) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  }
  return value === null || value === undefined ? 'none' : String(value);
}
