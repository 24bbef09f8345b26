import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ButtonHTMLAttributes, useState } from 'react';
import { useLocation } from 'wouter';
import { useMayChange } from '../App';
import { post } from '../api';
import { hasEnded } from '../live';

/** What may be done with a job. Nothing is shown to who may only look. small: in a row of a list. */
export function Actions({ id, name, status, small = false }: { id: string; name: string; status: string; small?: boolean }) {
  const may = useMayChange();
  const [, go] = useLocation();
  const [asked, setAsked] = useState(false);
  if (!may) return null;
  if (hasEnded(status))
    return (
      <Group gap="xs" wrap="nowrap">
        {status !== 'FINISHED' && (
          <Act small={small} onClick={() => go(`/new/restore/${id}`)} title="Go on from its saved state" aria-label={`Restore ${name}`}>
            Restore
          </Act>
        )}
        <Act small={small} onClick={() => go(`/new/copy/${id}`)} title="Submit an edited copy" aria-label={`Copy ${name}`}>
          Copy
        </Act>
      </Group>
    );

  async function stop(savepoint: boolean) {
    setAsked(false);
    try {
      await post('stop-job', { jobId: id, isStopWithSavePoint: savepoint });
      notifications.show({ message: savepoint ? `${name} is being saved` : `${name} is being stopped` });
    } catch (error) {
      notifications.show({ color: 'red', title: `${name} was not stopped`, message: (error as Error).message });
    }
  }

  return (
    <>
      <Group gap="xs" wrap="nowrap">
        <Act small={small} onClick={() => stop(true)} aria-label={`Savepoint ${name}`}>
          Savepoint
        </Act>
        <Act small={small} onClick={() => setAsked(true)} aria-label={`Stop ${name}`}>
          Stop
        </Act>
      </Group>
      <Modal opened={asked} onClose={() => setAsked(false)} title={`Stop ${name}?`} centered lockScroll={false}>
        <Stack>
          <Text size="sm">It ends at once. What was not committed by a checkpoint is taken back where the target can; to go on later, take a savepoint.</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setAsked(false)}>
              Leave it
            </Button>
            <Button variant="default" onClick={() => stop(true)}>
              Savepoint and stop
            </Button>
            <Button color="red" onClick={() => stop(false)}>
              Stop now
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

/** A button; in a list, where many come and go while it is scrolled, the browser's own. */
function Act({ small, ...rest }: { small: boolean } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return small ? <button type="button" className="mini" {...rest} /> : <Button size="xs" variant="default" {...rest} />;
}
