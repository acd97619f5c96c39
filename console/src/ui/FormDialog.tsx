/** A form in a dialog: fields, what is wrong with them, and a button that does it. */
import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactElement, type ReactNode, useState } from 'react';
import { mayBeDone, newKey, withUnknownOutcome } from '../api/retry';

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
  /** What is said beside the error where the outcome is unknown; otherwise that it is done once at most. */
  readonly whenUnknown?: string;
  readonly children: ReactNode;
  /**
   * Does it with what was filled in, under an idempotency key of this request. While its outcome is unknown it is called
   * again as it was: with the same fields, the same key, and the props of the first time.
   */
  readonly onSubmit: (fields: FormData, key: string) => Promise<FormAnswer>;
  readonly onDone: (message: string) => void;
}

export function FormDialog(props: FormDialogProps): ReactElement {
  const {
    label,
    title,
    tone = 'plain',
    action,
    wide = false,
    whenUnknown,
    children,
    onSubmit,
    onDone,
  } = props;
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [sending, setSending] = useState(false);
  /** Sends the request whose outcome is unknown again. */
  const [resend, setResend] = useState<(() => Promise<FormAnswer>) | null>(null);
  /** Also to one who has closed the dialog meanwhile. */
  const tell = (what: string) => {
    setProblem(what);
    setOpen(true);
  };
  const change = (opened: boolean) => {
    // What was refused is over.
    if (opened && !sending && resend === null) setProblem(null);
    setOpen(opened);
  };
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const key = newKey();
    const send = resend ?? (() => onSubmit(fields, key));
    setSending(true);
    setProblem(null);
    try {
      const { success, message, error } = await send();
      setResend(null);
      if (success) {
        setOpen(false);
        onDone(message);
      } else tell(error?.message ?? message);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const unknown = resend !== null || mayBeDone(error);
      if (unknown) setResend(() => send);
      tell(unknown ? withUnknownOutcome(message, whenUnknown) : message);
    } finally {
      setSending(false);
    }
  };
  return (
    <Dialog.Root open={open} onOpenChange={change}>
      <Dialog.Trigger className={`button button-${tone}`}>{label}</Dialog.Trigger>
      <Dialog.Portal keepMounted={sending || resend !== null}>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={wide ? 'dialog dialog-wide' : 'dialog'}>
          <form onSubmit={(event) => void submit(event)}>
            <Dialog.Title className="dialog-title">{title}</Dialog.Title>
            <fieldset className="fields" disabled={sending || resend !== null}>
              {children}
            </fieldset>
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

/** The texts of a field that are separated by commas; null where nothing was filled in. */
export function listOf(fields: FormData, name: string): string[] | null {
  const texts = textOf(fields, name)?.split(',');
  return texts?.map((text) => text.trim()).filter((text) => text !== '') ?? null;
}

/** What is written once and shown once: a new key, or the secret of a webhook. */
export function Secret({ label, value }: { readonly label: string; readonly value: string }): ReactElement {
  /** The value that was copied, and whether that worked. */
  const [copied, setCopied] = useState<{ readonly value: string; readonly done: boolean } | null>(null);
  const copy = async () => {
    try {
      // Missing where the page came over plain HTTP from another machine.
      await navigator.clipboard.writeText(value);
      setCopied({ value, done: true });
    } catch {
      setCopied({ value, done: false });
    }
  };
  return (
    <div className="panel secret" role="status">
      <p>
        <b>{label}</b> It is shown this once.
      </p>
      <code>{value}</code>
      <button type="button" className="button" onClick={() => void copy()}>
        Copy
      </button>
      {copied?.value === value ? (
        <p>{copied.done ? 'Copied.' : 'The browser did not copy it: select it and copy it by hand.'}</p>
      ) : null}
    </div>
  );
}
