import { Button, Group, Modal, Stack, Text } from '@mantine/core';

/** Asks before a job is stopped. */
export default function StopDialog({ name, open, onClose, onStop }: { name: string; open: boolean; onClose: () => void; onStop: (savepoint: boolean) => void }) {
  return (
    <Modal opened={open} onClose={onClose} title={`Stop ${name}?`} centered lockScroll={false} returnFocus={false} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack>
        <Text size="sm">It ends at once. What was not committed by a checkpoint is taken back where the target can; to go on later, take a savepoint.</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Leave it
          </Button>
          <Button variant="default" onClick={() => onStop(true)}>
            Savepoint and stop
          </Button>
          <Button color="red" onClick={() => onStop(false)}>
            Stop now
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
