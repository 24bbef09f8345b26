import { Button, Group } from '@mantine/core';
import { lazy, type ReactNode, Suspense, useCallback, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { post } from '../api';
import { hasEnded } from '../live';
import { useMayChange } from '../who';
import { tell } from './Notes';

const StopDialog = lazy(() => import('./StopDialog'));

export type Act = 'savepoint' | 'stop' | 'restore' | 'copy';

const ACTS: Record<Act, { word: string; title?: string }> = {
  savepoint: { word: 'Savepoint', title: 'Save its state and stop it' },
  stop: { word: 'Stop' },
  restore: { word: 'Restore', title: 'Go on from its saved state' },
  copy: { word: 'Copy', title: 'Submit an edited copy' },
};

export interface Named {
  id: string;
  name: string;
}

/** What may be done with a job in a state. */
export function actsOf(status: string): Act[] {
  if (!hasEnded(status)) return ['savepoint', 'stop'];
  return status === 'FINISHED' ? ['copy'] : ['restore', 'copy'];
}

/** How it is done, and the dialog that asks before a job is stopped. */
export function useActs(): { act: (act: Act, job: Named) => void; dialog: ReactNode } {
  const [, go] = useLocation();
  const [job, setJob] = useState<Named>();
  const [open, setOpen] = useState(false);
  const asked = useRef<HTMLElement>(undefined);
  const act = useCallback(
    (wanted: Act, on: Named) => {
      if (wanted === 'savepoint') void stop(on, true);
      else if (wanted === 'stop') {
        asked.current = document.activeElement as HTMLElement;
        setJob(on);
        setOpen(true);
      } else go(`/new/${wanted}/${on.id}`);
    },
    [go],
  );
  const close = () => {
    setOpen(false);
    asked.current?.focus();
  };
  const dialog = job && (
    <Suspense fallback={null}>
      <StopDialog
        name={job.name}
        open={open}
        onClose={close}
        onStop={(savepoint) => {
          close();
          void stop(job, savepoint);
        }}
      />
    </Suspense>
  );
  return { act, dialog };
}

async function stop({ id, name }: Named, savepoint: boolean): Promise<void> {
  try {
    await post('stop-job', { jobId: id, isStopWithSavePoint: savepoint });
    tell({ message: savepoint ? `${name} is being saved` : `${name} is being stopped` });
  } catch (error) {
    tell({ color: 'red', title: `${name} was not stopped`, message: (error as Error).message });
  }
}

/** The buttons of one job. Nothing is shown to who may only look. */
export function Actions({ id, name, status }: Named & { status: string }) {
  const may = useMayChange();
  const { act, dialog } = useActs();
  if (!may) return null;
  return (
    <>
      <Group gap="xs" wrap="nowrap">
        {actsOf(status).map((one) => (
          <Button key={one} size="xs" variant="default" onClick={() => act(one, { id, name })} title={ACTS[one].title} aria-label={`${ACTS[one].word} ${name}`}>
            {ACTS[one].word}
          </Button>
        ))}
      </Group>
      {dialog}
    </>
  );
}

/** The same in a row of a list, where many come and go while it is scrolled: the browser's own buttons, which the list hears. */
export function RowActions({ id, name, status }: Named & { status: string }) {
  return (
    <span className="minis">
      {actsOf(status).map((one) => (
        <button key={one} type="button" className="mini" data-act={one} data-id={id} data-name={name} title={ACTS[one].title} aria-label={`${ACTS[one].word} ${name}`}>
          {ACTS[one].word}
        </button>
      ))}
    </span>
  );
}
