const KINDS: Record<string, string> = {
  FINISHED: 'good',
  SAVEPOINT_DONE: 'good',
  FAILED: 'bad',
  FAILING: 'bad',
  CANCELED: 'off',
  CANCELING: 'warn',
  DOING_SAVEPOINT: 'warn',
  PENDING: 'warn',
  RUNNING: 'run',
};

export const WORDS: Record<string, string> = {
  FINISHED: 'Finished',
  SAVEPOINT_DONE: 'Saved',
  FAILED: 'Failed',
  FAILING: 'Failing',
  CANCELED: 'Canceled',
  CANCELING: 'Canceling',
  DOING_SAVEPOINT: 'Saving',
  PENDING: 'Waiting',
  RUNNING: 'Running',
  CREATED: 'Created',
  SCHEDULED: 'Scheduled',
};

/** The state of a job: a colour and a word. */
export function State({ status }: { status: string }) {
  return (
    <span className={`state ${KINDS[status] ?? 'run'}`} title={status}>
      {WORDS[status] ?? status}
    </span>
  );
}
