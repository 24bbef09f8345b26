import { Button, Group, NativeSelect, TextInput, Title } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type MouseEvent, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { count, duration, rate } from '../format';
import { hasEnded, type LiveJob, useLive } from '../live';
import { type Act, RowActions, useActs } from '../parts/Actions';
import { Failure } from '../parts/Failure';
import { State, WORDS } from '../parts/State';
import { useMayChange } from '../who';

const ROW = 48;
const STALE = 15_000;

/** Every job, live. */
export function Jobs({ state: wantedState }: { state?: string }) {
  const live = useLive();
  const may = useMayChange();
  const [text, setText] = useState('');
  const [state, setState] = useState(wantedState ?? '');
  const now = useNow();
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return live.jobs.filter(
      (job) => (!state || job.jobStatus === state) && (!wanted || job.jobName.toLowerCase().includes(wanted) || job.jobId.includes(wanted)),
    );
  }, [live.jobs, text, state]);
  const body = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: shown.length, getScrollElement: () => body.current, estimateSize: () => ROW, overscan: 6, getItemKey: (at) => shown[at].jobId });
  const { act, dialog } = useActs();
  const onClick = (event: MouseEvent) => {
    const { act: wanted, id, name } = (event.target as HTMLElement).closest<HTMLElement>('[data-act]')?.dataset ?? {};
    if (wanted && id) act(wanted as Act, { id, name: name ?? id });
  };
  return (
    <>
      {dialog}
      <Group justify="space-between" mb="md" align="end">
        <Title order={1} size="h2">
          Jobs
        </Title>
        {may && (
          <Button component={Link} href="/new" size="sm">
            New job
          </Button>
        )}
      </Group>
      <Group mb="sm" align="end">
        <TextInput value={text} onChange={(e) => setText(e.currentTarget.value)} placeholder="Name or id" aria-label="Search jobs" w={260} />
        <NativeSelect
          value={state}
          onChange={(e) => setState(e.currentTarget.value)}
          aria-label="State"
          w={180}
          data={[{ value: '', label: 'Every state' }, ...Object.keys(WORDS).map((value) => ({ value, label: WORDS[value] }))]}
        />
        <span className="quiet figures" role="status">
          {count(shown.length)} {shown.length === 1 ? 'job' : 'jobs'}
        </span>
      </Group>
      {live.error && <Failure error={new Error(live.error)} />}
      <div className="jobs" role="table" aria-label="Jobs" aria-rowcount={shown.length + 1}>
        <div role="rowgroup">
          <div className="jobs-row jobs-head" role="row" aria-rowindex={1}>
            <span role="columnheader">Name</span>
            <span role="columnheader">State</span>
            <span role="columnheader" className="right">
              Duration
            </span>
            <span role="columnheader" className="right wide">
              Rows
            </span>
            <span role="columnheader" className="right wide">
              Rows/s
            </span>
            <span role="columnheader" className="right wide widest" title="What its sources know of and have not read, in bytes or rows">
              Lag
            </span>
            <span role="columnheader" className="wide widest">
              Waits for
            </span>
            <span role="columnheader" className="wide">
              Actions
            </span>
          </div>
        </div>
        <div className="jobs-body" ref={body} role="rowgroup" tabIndex={0} aria-label="List of jobs" onClick={onClick}>
          <div role="presentation" style={{ height: rows.getTotalSize() }} />
          {rows.getVirtualItems().map((row) => (
            <Row key={row.key} job={shown[row.index]} index={row.index} top={row.start} now={hasEnded(shown[row.index].jobStatus) ? 0 : now} may={may} />
          ))}
        </div>
      </div>
      {live.loaded && shown.length === 0 && (
        <p className="quiet">{live.jobs.length ? 'No job is like that.' : 'No job was submitted yet.'}</p>
      )}
    </>
  );
}

/** One job. now: 0 where it has ended, so that the row is not made anew each second. */
const Row = memo(function Row({ job, index, top, now, may }: { job: LiveJob; index: number; top: number; now: number; may: boolean }) {
  const ended = hasEnded(job.jobStatus);
  const quick = ended || (job.seenAt !== undefined && now - job.seenAt < STALE) ? job.rate : 0;
  return (
    <div className="jobs-row" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)` }}>
      <span role="cell" className="cut">
        <a href={`#/job/${job.jobId}`} title={job.jobId}>
          {job.jobName}
        </a>
      </span>
      <span role="cell">
        <State status={job.jobStatus} />
      </span>
      <span role="cell" className="right">
        {duration((job.endedAt ?? now) - job.startedAt)}
      </span>
      <span role="cell" className="right wide">
        {count(job.sinkWriteCount)}
      </span>
      <span role="cell" className="right wide">
        {quick === undefined ? '–' : rate(quick)}
      </span>
      <span role="cell" className="right wide widest">
        {job.lag === null ? '–' : count(job.lag)}
      </span>
      <span role="cell" className="cut wide widest quiet" title={job.errorMsg ?? job.slowSide}>
        {job.errorMsg ?? sideOf(job.slowSide)}
      </span>
      <span role="cell" className="wide">
        {may && <RowActions id={job.jobId} name={job.jobName} status={job.jobStatus} />}
      </span>
    </div>
  );
});

/** `waits for the source 98% of the time` → `source, 98%`. */
function sideOf(slow: string): string {
  const found = /waits for the (.+?) (\d+%)/.exec(slow);
  return found ? `${found[1]}, ${found[2]} of the time` : slow;
}

export function useNow(every = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
