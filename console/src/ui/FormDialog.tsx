/** A form in a dialog: fields, what is wrong with them, and a button that does it. */
import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactElement, type ReactNode, useState } from 'react';

export interface FormAnswer {
  readonly success: boolean;
  readonly message: string;
  readonly error?: { readonly message: string } | null | undefined;
}

interface FormDialogProps {
  /** The button that opens it. */
  readonly label: string;
  readonly title: string;
  readonly tone?: 'main' | 'plain' | 'danger';
  readonly action: string;
  /** For a form of many fields: they stand in columns. */
  readonly wide?: boolean;
  readonly children: ReactNode;
  /** Does it with what was filled in. */
  readonly onSubmit: (fields: FormData) => Promise<FormAnswer>;
  readonly onDone: (message: string) => void;
}

export function FormDialog(props: FormDialogProps): ReactElement {
  const { label, title, tone = 'plain', action, wide = false, children, onSubmit, onDone } = props;
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [sending, setSending] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    setSending(true);
    setProblem(null);
    try {
      const { success, message, error } = await onSubmit(fields);
      if (success) {
        setOpen(false);
        onDone(message);
      } else setProblem(error?.message ?? message);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setSending(false);
    }
  };
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className={`button button-${tone}`}>{label}</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={wide ? 'dialog dialog-wide' : 'dialog'}>
          <form onSubmit={(event) => void submit(event)}>
            <Dialog.Title className="dialog-title">{title}</Dialog.Title>
            {children}
            {problem ? (
              <p className="problem" role="alert">
                {problem}
              </p>
            ) : null}
            <div className="dialog-buttons">
              <Dialog.Close className="button">Back</Dialog.Close>
              <button type="submit" className={`button button-${tone}`} disabled={sending}>
                {sending ? 'Sending …' : action}
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** The text of a field; null where nothing was filled in. */
export function textOf(fields: FormData, name: string): string | null {
  const value = fields.get(name);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** What is written once and shown once: a new key, or the secret of a webhook. */
export function Secret({ label, value }: { readonly label: string; readonly value: string }): ReactElement {
  return (
    <div className="panel secret" role="status">
      <p>
        <b>{label}</b> It is shown this once.
      </p>
      <code>{value}</code>
      <button
        type="button"
        className="button"
        onClick={() => void navigator.clipboard?.writeText(value).catch(() => {})}
      >
        Copy
      </button>
    </div>
  );
}
