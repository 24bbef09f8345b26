// All jobs, as the server tells them while they change.

import { useEffect, useSyncExternalStore } from 'react';
import { type BriefJob, events, FIRST_JOBS, get } from './api';

const MOST = 5000;
const WINDOW = 5000;
const ENDED = new Set(['FINISHED', 'FAILED', 'CANCELED', 'SAVEPOINT_DONE']);

export const hasEnded = (status: string): boolean => ENDED.has(status);

export interface LiveJob extends BriefJob {
  /** Rows a second that were written, of late; undefined as long as it is not known. */
  rate?: number;
  seenAt?: number;
  /** (when, rows written) of the last seconds: what is told comes at uneven times. */
  told?: [number, number][];
}

interface Live {
  jobs: LiveJob[];
  counts: Record<string, number>;
  open: boolean;
  loaded: boolean;
  error: string;
}

let known = new Map<string, LiveJob>();
let now: Live = { jobs: [], counts: {}, open: false, loaded: false, error: '' };
const listeners = new Set<() => void>();

function publish(change: Partial<Live>): void {
  now = { ...now, ...change };
  listeners.forEach((one) => one());
}

function sorted(): LiveJob[] {
  return [...known.values()].sort((a, b) => Number(hasEnded(a.jobStatus)) - Number(hasEnded(b.jobStatus)) || b.createdAt - a.createdAt);
}

function take(job: BriefJob, at: number): void {
  const before = known.get(job.jobId);
  if (before && (before.createdAt > job.createdAt || (before.createdAt === job.createdAt && before.version > job.version))) return; // a list that was asked for earlier
  const found: LiveJob = { ...job, seenAt: at };
  const earlier = before?.createdAt === job.createdAt ? (before.told ?? []) : [];
  found.told = [...earlier.filter(([when], n) => at - when <= WINDOW || n === earlier.length - 1), [at, Number(job.sinkWriteCount)]];
  const [since, rows] = found.told[0];
  found.rate = at - since < 500 ? before?.rate : Math.max(0, Number(job.sinkWriteCount) - rows) / ((at - since) / 1000);
  if (hasEnded(job.jobStatus)) {
    const seconds = ((job.endedAt ?? at) - job.startedAt) / 1000;
    found.rate = seconds > 0 ? Number(job.sinkWriteCount) / seconds : undefined;
  }
  known.set(job.jobId, found);
}

async function load(): Promise<void> {
  let cursor: string | null = null;
  const fresh: BriefJob[] = [];
  do {
    const page: { jobs: BriefJob[]; nextCursor: string | null } = await get(cursor ? `jobs?limit=1000&cursor=${cursor}` : FIRST_JOBS);
    fresh.push(...page.jobs);
    cursor = page.nextCursor;
    if (known.size === 0 && !now.loaded) {
      fresh.forEach((job) => take(job, Date.now()));
      publish({ jobs: sorted(), loaded: true });
    }
  } while (cursor && fresh.length < MOST);
  const at = Date.now();
  const ids = new Set(fresh.map((job) => job.jobId));
  known = new Map([...known].filter(([id]) => ids.has(id)));
  // the first one told of an id is its last run
  const told = new Set<string>();
  for (const job of fresh) {
    if (!told.has(job.jobId)) take(job, at);
    told.add(job.jobId);
  }
  publish({ jobs: sorted(), loaded: true, error: '' });
}

/** The jobs as the stream of events has told them; what it tells next are their differences. */
const streamed = new Map<string, BriefJob>();

function hear(changes: (Partial<BriefJob> & { jobId: string })[]): void {
  const at = Date.now();
  for (const change of changes) {
    const job = { ...streamed.get(change.jobId), ...change } as BriefJob;
    if (hasEnded(job.jobStatus)) streamed.delete(job.jobId);
    else streamed.set(job.jobId, job);
    take(job, at);
  }
  publish({ jobs: sorted() });
}

let users = 0;
let stop: AbortController | undefined;

function begin(): void {
  stop = new AbortController();
  const again = () => load().catch((error: Error) => publish({ error: error.message }));
  void again();
  let first = true;
  void events(
    (name, data) => {
      if (name === 'counts') publish({ counts: JSON.parse(data) });
      else if (name === 'changes') hear(JSON.parse(data));
      else if (name === 'jobs') {
        // how all is: at the beginning, and when too much was missed, which the list may have missed, too
        streamed.clear();
        hear(JSON.parse(data));
        if (!first) void again();
        first = false;
      }
    },
    (open) => publish({ open }),
    stop.signal,
  );
}

function subscribe(act: () => void): () => void {
  listeners.add(act);
  return () => listeners.delete(act);
}

/** The jobs, as long as anybody looks. */
export function useLive(): Live {
  useEffect(() => {
    users += 1;
    if (users === 1) begin();
    return () => {
      users -= 1;
      if (users === 0) stop?.abort();
    };
  }, []);
  return useSyncExternalStore(subscribe, () => now);
}
