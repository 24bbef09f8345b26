import { SimpleGrid, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { get } from '../api';
import { bytes, count, duration, percent, rate } from '../format';
import { useLive } from '../live';
import { Chart } from '../parts/Chart';
import { Failure } from '../parts/Failure';
import { State, WORDS } from '../parts/State';

interface Worker {
  address: string;
  tags: Record<string, string>;
  totalSlots: number;
  freeSlots: number;
  usedSlots: number;
  dynamicSlot: boolean;
  runningJobIds: number[];
  totalCpuCores?: number;
  totalHeapMemoryBytes?: number;
  cpuUsage?: number;
  memUsage?: number;
}

interface ClusterRate {
  time: number;
  jobs: number;
  read: number;
  written: number;
  read_bytes: number;
  written_bytes: number;
}

const RUNNING = ['RUNNING', 'CREATED', 'SCHEDULED', 'DOING_SAVEPOINT', 'CANCELING', 'FAILING'];

/** The cluster at a glance. */
export function Overview() {
  const live = useLive();
  const workers = useQuery({ queryKey: ['workers'], queryFn: () => get<{ workers: Worker[] }>('resource/workers'), refetchInterval: 5000 });
  const rates = useQuery({ queryKey: ['rates'], queryFn: () => get<ClusterRate[]>('rates'), refetchInterval: 5000 });
  const running = RUNNING.reduce((sum, state) => sum + (live.counts[state] ?? 0), 0);
  const points = rates.data ?? [];
  const last = points.at(-1);
  const nodes = workers.data?.workers ?? [];
  const slots = nodes.reduce((sum, node) => sum + node.totalSlots, 0);
  const used = nodes.reduce((sum, node) => sum + (node.usedSlots ?? 0), 0);
  const line = (name: string, key: 'read' | 'written' | 'read_bytes' | 'written_bytes') => ({
    name,
    className: key.startsWith('read') ? 'read' : 'written',
    points: points.map((p) => ({ time: p.time * 1000, value: p[key] })),
  });
  const recent = live.jobs.filter((job) => job.endedAt).sort((a, b) => b.endedAt! - a.endedAt!).slice(0, 8);
  return (
    <>
      <Title order={1} size="h2" mb="md">
        Overview
      </Title>
      {workers.error && <Failure error={workers.error} />}
      <SimpleGrid cols={{ base: 2, md: 4 }} mb="md">
        <Figure name="Running jobs" value={count(running)} more={live.counts.PENDING ? `${live.counts.PENDING} waiting` : ''} />
        <Figure name="Failed jobs" value={count(live.counts.FAILED ?? 0)} more="kept in the history" />
        <Figure name="Rows written a second" value={rate(last?.written ?? 0)} more={last ? `${bytes(last.written_bytes)}/s` : ''} />
        <Figure name="Slots in use" value={count(used)} more={nodes.some((node) => node.dynamicSlot) ? 'made as they are needed' : `of ${slots}`} />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, md: 2 }} mb="md">
        <section className="card">
          <h2>Rows a second, last hour</h2>
          <Chart title="Rows a second" lines={[line('read', 'read'), line('written', 'written')]} />
        </section>
        <section className="card">
          <h2>Bytes a second, last hour</h2>
          <Chart title="Bytes a second" lines={[line('read', 'read_bytes'), line('written', 'written_bytes')]} format={bytes} />
        </section>
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <section className="card">
          <h2>Jobs by state</h2>
          <table className="table">
            <tbody>
              {Object.keys(WORDS)
                .filter((state) => live.counts[state])
                .map((state) => (
                  <tr key={state}>
                    <td>
                      <State status={state} />
                    </td>
                    <td className="right">
                      <Link href={`/jobs/${state}`}>{count(live.counts[state])}</Link>
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
          {Object.keys(live.counts).length === 0 && <p className="quiet">No job was submitted yet.</p>}
        </section>
        <section className="card">
          <h2>Last ended</h2>
          <table className="table">
            <tbody>
              {recent.map((job) => (
                <tr key={job.jobId}>
                  <td className="wrap">
                    <Link href={`/job/${job.jobId}`}>{job.jobName}</Link>
                  </td>
                  <td>
                    <State status={job.jobStatus} />
                  </td>
                  <td className="right">{duration(job.endedAt! - job.startedAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {recent.length === 0 && <p className="quiet">Nothing has ended yet.</p>}
        </section>
        <section className="card scroll" style={{ gridColumn: '1 / -1' }}>
          <h2>Nodes</h2>
          <table className="table">
            <thead>
              <tr>
                <th>Address</th>
                <th className="right">Slots</th>
                <th className="right">Jobs</th>
                <th className="right">Cores</th>
                <th className="right">CPU</th>
                <th className="right">Memory</th>
                <th>Attributes</th>
              </tr>
            </thead>
            <tbody>
              {nodes.map((node) => (
                <tr key={node.address}>
                  <td className="mono">{node.address}</td>
                  <td className="right">
                    {node.usedSlots} {!node.dynamicSlot && `of ${node.totalSlots}`}
                  </td>
                  <td className="right">{node.runningJobIds.length}</td>
                  <td className="right">{node.totalCpuCores ?? '–'}</td>
                  <td className="right">{node.cpuUsage === undefined ? '–' : percent(node.cpuUsage)}</td>
                  <td className="right">
                    {node.memUsage === undefined ? '–' : `${percent(node.memUsage)} of ${bytes(node.totalHeapMemoryBytes ?? 0)}`}
                  </td>
                  <td>
                    {Object.entries(node.tags)
                      .map(([key, value]) => `${key}=${value}`)
                      .join(', ')}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </SimpleGrid>
    </>
  );
}

export function Figure({ name, value, more }: { name: string; value: string; more?: string }) {
  return (
    <dl className="card figure">
      <dt>{name}</dt>
      <dd>
        {value} {more && <small>{more}</small>}
      </dd>
    </dl>
  );
}
