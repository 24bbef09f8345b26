import { Alert, Anchor, Group, Loader, SimpleGrid, Tabs, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import { type Checkpoint, get, type JobInfo } from '../api';
import { bytes, count, duration, moment, rate } from '../format';
import { hasEnded, useLive } from '../live';
import { Actions } from '../parts/Actions';
import { Chart } from '../parts/Chart';
import { CheckpointLine } from '../parts/CheckpointLine';
import { Diff } from '../parts/Diff';
import { Failure } from '../parts/Failure';
import { Graph, type VertexFigures } from '../parts/Graph';
import { BadRows, Log, useLog } from '../parts/Log';
import { State } from '../parts/State';
import { useNow } from './Jobs';
import { Figure } from './Overview';

type Ratios = { ts: number; sourceReadRatio: number; transformBusyRatio: number; sinkBusyRatio: number };

interface Totals {
  time: number;
  read: number;
  written: number;
  readBytes: number;
  writtenBytes: number;
}

interface File {
  jobId: string;
  run: number;
  format: string;
  text: string;
  takenAt: number;
}

/** Everything about one job. */
export default function Job({ id, tab }: { id: string; tab: string }) {
  const [, go] = useLocation();
  const live = useLive().jobs.find((job) => job.jobId === id);
  const info = useQuery({
    queryKey: ['job', id],
    queryFn: () => get<JobInfo>(`job-info/${id}`),
    refetchInterval: (query) => (query.state.data && hasEnded(query.state.data.jobStatus) ? false : 2000),
  });
  const status = live && !hasEnded(info.data?.jobStatus ?? '') ? live.jobStatus : (info.data?.jobStatus ?? '');
  const ended = hasEnded(info.data?.jobStatus ?? '');
  const totals = useQuery({ queryKey: ['job-rates', id, ended], queryFn: () => get<{ points: Totals[] }>(`rates/${id}`), refetchInterval: ended ? false : 5000 });
  const checkpoints = useQuery({
    queryKey: ['checkpoints', id, ended],
    queryFn: () => get<{ pipelineId: number; checkpoint: Checkpoint }[]>(`jobs/checkpoints/history/${id}?limit=100`),
    refetchInterval: ended ? false : 3000,
  });
  const busy = useQuery({
    queryKey: ['busy', id],
    queryFn: () => get<{ vertices: { vertexId: number; points: Ratios[] }[] }>(`metrics/realtime/jobs/${id}/vertices?windowMs=20000`),
    refetchInterval: 5000,
    enabled: info.data !== undefined && !ended,
  });
  const files = useQuery({ queryKey: ['file', id], queryFn: () => get<{ file: File | null; before: File | null }>(`job-files/${id}`) });
  const now = useNow();
  if (info.error) return <Failure error={info.error} />;
  if (!info.data) return <Loader />;
  if (!info.data.jobStatus) return <Title order={1} size="h2">There is no job {id}</Title>;
  const job = info.data;
  const points = totals.data?.points ?? [];
  const steps = points.slice(1).map((point, index) => ({ point, before: points[index], seconds: (point.time - points[index].time) / 1000 }));
  const speed = (key: 'read' | 'written') =>
    steps.filter((step) => step.seconds > 0).map((step) => ({ time: step.point.time, value: (step.point[key] - step.before[key]) / step.seconds }));
  const metric = (name: string) => Number(job.metrics[name] ?? 0);
  const rejected = metric('RejectedCount');
  const report = job.deliveryReport;
  const started = live?.startedAt ?? points[0]?.time;
  const end = live?.endedAt ?? (ended ? points.at(-1)?.time : now);
  return (
    <>
      <Anchor component={Link} href="/jobs" size="sm">
        ← Jobs
      </Anchor>
      <Group justify="space-between" mt={4} mb="md" align="start">
        <div>
          <Title order={1} size="h2" className="wrap">
            {job.jobName}
          </Title>
          <Group gap="sm">
            <State status={status} />
            <span className="quiet mono">{id}</span>
            <span className="quiet figures small">
              {job.createTime}
              {started !== undefined && end !== undefined && `, ${duration(end - started)}`}
            </span>
          </Group>
        </div>
        <Actions id={id} name={job.jobName ?? id} status={status} />
      </Group>
      {job.errorMsg && (
        <Alert color="red" title={status === 'FAILED' ? 'It failed' : 'What went wrong'} mb="md">
          <pre className="code" style={{ whiteSpace: 'pre-wrap', maxHeight: '14rem' }}>
            {job.errorMsg}
          </pre>
        </Alert>
      )}
      {job.warnings?.map((warning) => (
        <Alert key={warning} color="yellow" mb="md">
          {warning}
        </Alert>
      ))}
      <SimpleGrid cols={{ base: 2, md: 4 }} mb="md">
        <Figure name="Rows read" value={count(metric('SourceReceivedCount'))} more={bytes(metric('SourceReceivedBytes'))} />
        <Figure name="Rows written" value={count(metric('SinkWriteCount'))} more={bytes(metric('SinkWriteBytes'))} />
        <Figure name="Rows a second" value={rate(speed('written').at(-1)?.value ?? metric('SinkWriteQPS'))} more={job.slowSide || ''} />
        <Figure name="Bad rows" value={count(rejected)} more={report ? (report.balanced ? 'delivery is balanced' : 'delivery is not balanced') : ''} />
      </SimpleGrid>
      <Tabs value={tab} onChange={(value) => go(`/job/${id}/${value}`)} keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="graph">Graph</Tabs.Tab>
          <Tabs.Tab value="delivery">Delivery</Tabs.Tab>
          <Tabs.Tab value="checkpoints">Checkpoints</Tabs.Tab>
          <Tabs.Tab value="bad-rows">Bad rows</Tabs.Tab>
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="file">Job file</Tabs.Tab>
          <Tabs.Tab value="configuration">Configuration</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="graph">
          <section className="card">
            <h2>From source to sink</h2>
            <Graph dag={job.jobDag} figures={figuresOf(job, busy.data?.vertices ?? [])} />
          </section>
          <section className="card" style={{ marginTop: '1rem' }}>
            <h2>Rows a second</h2>
            <Chart
              title="Rows a second"
              lines={[
                { name: 'read', className: 'read', points: speed('read') },
                { name: 'written', className: 'written', points: speed('written') },
              ]}
            />
          </section>
          <Tables job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="delivery">
          <Delivery job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="checkpoints">
          {checkpoints.error && <Failure error={checkpoints.error} />}
          <Checkpoints found={checkpoints.data ?? []} />
        </Tabs.Panel>
        <Tabs.Panel value="bad-rows">
          <BadRowsTab id={id} ended={ended} rejected={rejected} />
        </Tabs.Panel>
        <Tabs.Panel value="log">
          <LogTab id={id} ended={ended} />
        </Tabs.Panel>
        <Tabs.Panel value="file">
          {files.data?.file ? (
            <>
              {files.data.before && (
                <section className="card" style={{ marginBottom: '1rem' }}>
                  <h2>
                    What changed since {files.data.before.jobId === id ? `run ${files.data.before.run}` : <Link href={`/job/${files.data.before.jobId}`}>its last run</Link>} of{' '}
                    {moment(files.data.before.takenAt)}
                  </h2>
                  <Diff before={files.data.before.text} after={files.data.file.text} />
                </section>
              )}
              <section className="card">
                <h2>Job file ({files.data.file.format}), secrets masked</h2>
                <pre className="code" tabIndex={0}>
                  {files.data.file.text}
                </pre>
              </section>
            </>
          ) : (
            <p className="quiet">The file of this job is not kept: it was not submitted over REST, or it is too old.</p>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="configuration">
          <section className="card scroll">
            <h2>env</h2>
            <table className="table">
              <tbody>
                {Object.entries(job.envOptions ?? job.jobDag.envOptions ?? {}).map(([key, value]) => (
                  <tr key={key}>
                    <td className="mono">{key}</td>
                    <td className="mono wrap">{value}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** What stands on each vertex: rows and bytes of sources and sinks, and how busy each was of late. */
function figuresOf(job: JobInfo, vertices: { vertexId: number; points: Ratios[] }[]): Record<string, VertexFigures> {
  const found: Record<string, VertexFigures> = {};
  for (const vertex of job.jobDag.vertexInfoMap) {
    const place = /(Source|Sink)\[\d+\]/.exec(vertex.vertexName)?.[0];
    const sum = (name: string) =>
      Object.entries((job.metrics[name] as Record<string, string>) ?? {})
        .filter(([key]) => key.startsWith(`${place}.`))
        .reduce((total, [, value]) => total + Number(value), 0);
    const side = vertex.type === 'source' ? 'TableSourceReceived' : 'TableSinkWrite';
    const lines: [string, string][] = [];
    if (place && vertex.type !== 'transform')
      lines.push(['rows', count(sum(`${side}Count`))], ['bytes', bytes(sum(`${side}Bytes`))], ['rows/s', rate(sum(`${side}QPS`))]);
    const points = vertices.find((one) => one.vertexId === vertex.vertexId)?.points ?? [];
    const last = points.at(-1);
    const busy = last && (vertex.type === 'source' ? last.sourceReadRatio : vertex.type === 'sink' ? last.sinkBusyRatio : last.transformBusyRatio);
    if (busy !== undefined) lines.push(['busy', `${Math.round(busy * 100)} %`]);
    found[vertex.vertexId] = { lines, busy };
  }
  return found;
}

function Tables({ job }: { job: JobInfo }) {
  const of = (name: string) => (job.metrics[name] as Record<string, string>) ?? {};
  const rows = [
    ...Object.keys(of('TableSourceReceivedCount')).map((key) => ({ key, rows: of('TableSourceReceivedCount')[key], size: of('TableSourceReceivedBytes')[key] })),
    ...Object.keys(of('TableSinkWriteCount')).map((key) => ({ key, rows: of('TableSinkWriteCount')[key], size: of('TableSinkWriteBytes')[key] })),
  ];
  const bad = of('TableRejectedCount');
  return (
    <section className="card scroll" style={{ marginTop: '1rem' }}>
      <h2>Tables</h2>
      <table className="table">
        <thead>
          <tr>
            <th>Where</th>
            <th>Table</th>
            <th className="right">Rows</th>
            <th className="right">Bytes</th>
            <th className="right">Bad rows</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <td>{row.key.slice(0, row.key.indexOf('.'))}</td>
              <td className="mono wrap">{row.key.slice(row.key.indexOf('.') + 1)}</td>
              <td className="right">{count(row.rows)}</td>
              <td className="right">{bytes(Number(row.size ?? 0))}</td>
              <td className="right">{bad[row.key] ? count(bad[row.key]) : '0'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Delivery({ job }: { job: JobInfo }) {
  const report = job.deliveryReport;
  if (!report) return <p className="quiet">The report is made when the job has ended.</p>;
  return (
    <section className="card scroll">
      <Group mb="sm" gap="sm">
        <span className={`state ${report.balanced ? 'good' : 'bad'}`}>{report.balanced ? 'Balanced' : 'Not balanced'}</span>
        <span>{report.summary}</span>
      </Group>
      <table className="table">
        <thead>
          <tr>
            <th>From</th>
            <th>To</th>
            <th className="right">Read</th>
            <th className="right">Added</th>
            <th className="right">Filtered</th>
            <th className="right">Bad</th>
            <th className="right">Ignored</th>
            <th className="right">Written</th>
          </tr>
        </thead>
        <tbody>
          {report.deliveries.map((one, index) => (
            <tr key={index}>
              <td>
                {one.source}
                <div className="quiet mono wrap">{one.tables.join(', ')}</div>
              </td>
              <td>
                {one.sink}
                <div className="quiet mono wrap">{one.targets.join(', ')}</div>
              </td>
              {(['read', 'added', 'filtered', 'rejected', 'ignored', 'written'] as const).map((name) => (
                <td className="right" key={name}>
                  {count(one[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Checkpoints({ found }: { found: { pipelineId: number; checkpoint: Checkpoint }[] }) {
  if (found.length === 0) return <p className="quiet">No checkpoint was taken yet.</p>;
  return (
    <>
      <section className="card">
        <h2>When they were taken, and how long each took</h2>
        <CheckpointLine found={found} />
      </section>
      <section className="card scroll" style={{ marginTop: '1rem' }}>
        <h2>The last {found.length}</h2>
        <table className="table">
          <thead>
            <tr>
              <th>Pipeline</th>
              <th>Checkpoint</th>
              <th>Kind</th>
              <th>State</th>
              <th>Taken</th>
              <th className="right">Duration</th>
              <th className="right">Size</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ pipelineId, checkpoint }) => (
              <tr key={`${pipelineId}-${checkpoint.checkpointId}`}>
                <td>{pipelineId}</td>
                <td className="figures">{checkpoint.checkpointId}</td>
                <td>{checkpoint.checkpointType.replace(/_TYPE$/, '').toLowerCase()}</td>
                <td>
                  <span className={`state ${checkpoint.status === 'COMPLETED' ? 'good' : checkpoint.status === 'FAILED' ? 'bad' : 'run'}`}>
                    {checkpoint.status.toLowerCase().replace('_', ' ')}
                  </span>
                  {checkpoint.failureReason && <div className="quiet wrap">{checkpoint.failureReason}</div>}
                </td>
                <td>{moment(checkpoint.triggerTimestamp)}</td>
                <td className="right">{checkpoint.durationMillis === undefined ? '–' : duration(checkpoint.durationMillis)}</td>
                <td className="right">{checkpoint.stateSize === undefined ? '–' : bytes(checkpoint.stateSize)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

function LogTab({ id, ended }: { id: string; ended: boolean }) {
  return <Log log={useLog(id, ended)} name={`job-${id}.log`} />;
}

function BadRowsTab({ id, ended, rejected }: { id: string; ended: boolean; rejected: number }) {
  return <BadRows log={useLog(id, ended)} id={id} rejected={rejected} />;
}
