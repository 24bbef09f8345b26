import { Button, Checkbox, Group, SegmentedControl, TextInput } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import { ask, post, type Replay } from '../api';
import { Failure } from './Failure';
import { useMayChange } from '../who';

const MOST_LINES = 5000;
const BAD = /bad row set aside by (\S+), table ([^:]*): (.*?)(?:; row: (\{.*\}))?$/;

export interface LogText {
  lines: string[];
  error?: Error;
  cut: boolean;
}

/** The log of a job, read on as it grows. */
export function useLog(id: string, ended: boolean): LogText {
  const [log, setLog] = useState<LogText>({ lines: [], cut: false });
  const over = useRef(ended);
  over.current = ended;
  useEffect(() => {
    let [position, rest, alive] = ['', '', true];
    async function read() {
      try {
        for (;;) {
          const wasOver = over.current;
          const answer = await ask(`log/job-${id}.log?after=${encodeURIComponent(position)}`);
          const text = await answer.text();
          if (!alive) return;
          position = answer.headers.get('X-Headrace-Log-Position') ?? position;
          const cut = answer.headers.get('X-Headrace-Log-Cut') === 'true';
          const found = (rest + text).split('\n');
          rest = found.pop() ?? '';
          if (text) setLog((before) => ({ lines: [...before.lines, ...found].slice(-MOST_LINES), cut: before.cut || cut || before.lines.length + found.length > MOST_LINES }));
          else if (wasOver) return;
          if (!text || !wasOver) await new Promise((done) => setTimeout(done, text ? 1000 : 2000));
          if (!alive) return;
        }
      } catch (error) {
        if (alive) setLog((before) => ({ ...before, error: error as Error }));
      }
    }
    void read();
    return () => {
      alive = false;
    };
  }, [id]);
  return log;
}

/** Hands the whole file to the browser; a plain link could not say who asks. */
async function save(name: string): Promise<void> {
  const address = URL.createObjectURL(await (await ask(`log/${name}`)).blob());
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

/** A line of a log that is written as JSON, as the others look. */
function asText(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const told = JSON.parse(line);
    return `${told.time.replace('T', ' ').slice(0, 23)} ${told.level} ${told.message}${told.exception ? `\n${told.exception}` : ''}`;
  } catch {
    return line;
  }
}

/** The log, live, filtered by level and by what a line holds. */
export function Log({ log, name }: { log: LogText; name: string }) {
  const [text, setText] = useState('');
  const [level, setLevel] = useState('all');
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => {
    const wanted = text.toLowerCase();
    return log.lines.map(asText).filter((line) => (level === 'all' || /^\S+ \S+ (WARNING|ERROR|CRITICAL)\b/.test(line)) && (!wanted || line.toLowerCase().includes(wanted)));
  }, [log.lines, text, level]);
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown, follow]);
  return (
    <>
      <Group mb="sm">
        <TextInput value={text} onChange={(e) => setText(e.currentTarget.value)} placeholder="Filter" aria-label="Filter the log" w={260} />
        <SegmentedControl
          value={level}
          onChange={setLevel}
          aria-label="Level"
          data={[
            { value: 'all', label: 'All' },
            { value: 'problems', label: 'Warnings and errors' },
          ]}
        />
        <Checkbox label="Follow" checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} />
        <Button variant="default" size="sm" onClick={() => save(name)}>
          Save the file
        </Button>
      </Group>
      {log.error && <Failure error={log.error} />}
      <div className="log" ref={box} tabIndex={0} role="log" aria-label="Log of the job">
        {log.cut && <div className="quiet">… older lines are in the file</div>}
        {shown.map((line, index) => (
          <div key={index} className={/^\S+ \S+ (\w+)/.exec(line)?.[1]}>
            {line}
          </div>
        ))}
      </div>
    </>
  );
}

/** Bad rows that the log names: where, why, and the row itself where it was kept. */
export function BadRows({ log, id, rejected }: { log: LogText; id: string; rejected: number }) {
  const found = log.lines.map((line) => BAD.exec(line)).filter((one) => one !== null);
  if (rejected === 0 && found.length === 0) return <p className="quiet">No row was set aside.</p>;
  return (
    <section className="card scroll">
      <h2>
        {rejected} {rejected === 1 ? 'row was' : 'rows were'} set aside
      </h2>
      {found.length === 0 && <p className="quiet">They are in the sink that the job file names in error_handler; the log does not hold them.</p>}
      {found.length > 0 && (
        <table className="table">
          <thead>
            <tr>
              <th>By</th>
              <th>Table</th>
              <th>Reason</th>
              <th>Row</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(-200).map((one, index) => (
              <tr key={index}>
                <td className="mono">{one[1]}</td>
                <td className="mono">{one[2]}</td>
                <td className="wrap">{one[3]}</td>
                <td className="mono wrap">{rowOf(one[4])}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Replaying id={id} />
    </section>
  );
}

/** Sends bad rows in again, and says what became of them. */
function Replaying({ id }: { id: string }) {
  const may = useMayChange();
  const [found, setFound] = useState<Replay>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);

  async function replay() {
    setBusy(true);
    setFound(undefined);
    setError(undefined);
    try {
      setFound(await post<Replay>(`replay/${id}`, ''));
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div aria-live="polite">
      <Group mt="sm">
        {may && (
          <Button variant="default" size="sm" onClick={replay} loading={busy}>
            Replay
          </Button>
        )}
        <span className="quiet">
          When the cause is mended, rows that an error sink has can be sent in again, each once; <code>headrace replay JOB_FILE</code> does the same.
        </span>
      </Group>
      {error && <Failure error={error} />}
      {found && (
        <p>
          {outcome(found)}
          {Object.entries(found.kept).map(([reason, rows]) => (
            <span key={reason} className="quiet" style={{ display: 'block' }}>
              {rows} cannot be replayed: {reason}
            </span>
          ))}
        </p>
      )}
    </div>
  );
}

function outcome(found: Replay): string {
  const kept = Object.values(found.kept).reduce((sum, rows) => sum + rows, 0);
  if (found.replayed + kept === 0) return found.said.join(' ') || 'There is nothing to replay.';
  const again = found.setAsideAgain ? `, ${found.setAsideAgain} set aside again` : '';
  return `${found.replayed} tried: ${found.replayed - found.setAsideAgain} delivered${again}.`;
}

function rowOf(json: string | undefined): string {
  if (!json) return '';
  try {
    const kept = JSON.parse(json);
    return kept.raw ?? JSON.stringify(kept.row ?? kept);
  } catch {
    return json;
  }
}
