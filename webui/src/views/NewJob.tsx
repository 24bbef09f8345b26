import { Alert, Button, FileButton, Group, Loader, NumberInput, SegmentedControl, Select, SimpleGrid, Tabs, TextInput, Title } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { type Checked, get, type PluginSchema, type Preview, post, type Problem } from '../api';
import { Editor } from '../parts/Editor';
import { Failure } from '../parts/Failure';
import { Graph, vertexName } from '../parts/Graph';
import { isOf, OptionForm, type Values } from '../parts/OptionForm';
import { useMayChange } from '../who';

const MASK = '******';
const KINDS = ['source', 'transform', 'sink'] as const;
type Kind = (typeof KINDS)[number];

interface Part {
  key: number;
  kind: Kind;
  name: string;
  values: Values;
}

interface Built {
  name: string;
  mode: string;
  parallelism: number | undefined;
  parts: Part[];
}

const START = `env {
  job.mode = "BATCH"
  job.name = "my first job"
}

source {
  FakeSource {
    row.num = 1000
    schema { fields { id = bigint, name = string } }
  }
}

sink {
  Console { log.print.data = false }
}
`;

let keys = 0;

/** A job is written or built, checked while it grows, and submitted. */
export default function NewJob({ how, from = null }: { how?: string; from?: string | null }) {
  const may = useMayChange();
  const kept = useQuery({ queryKey: ['file', from], queryFn: () => get<{ file: { format: string; text: string } | null }>(`job-files/${from}`), enabled: from !== null });
  if (!may) return <p>You may look, and change nothing.</p>;
  if (kept.error) return <Failure error={kept.error} />;
  if (from !== null && !kept.data) return <Loader />;
  if (from !== null && !kept.data?.file) return <p className="quiet">The file of job {from} is not kept: submit it again from where it lies.</p>;
  return <Form key={`${how}-${from}`} start={kept.data?.file ?? { format: 'hocon', text: START }} restore={how === 'restore' ? from : null} copied={from} />;
}

function Form({ start, restore, copied }: { start: { format: string; text: string }; restore: string | null; copied: string | null }) {
  const [, go] = useLocation();
  const [way, setWay] = useState('write');
  const [format, setFormat] = useState(start.format);
  const [text, setText] = useState(start.text);
  const [built, setBuilt] = useState<Built>({ name: 'my job', mode: 'BATCH', parallelism: undefined, parts: [] });
  const [jump, setJump] = useState<{ line: number }>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const made = useMemo(() => JSON.stringify(jobOf(built), null, 2), [built]);
  const [job, form] = way === 'build' ? [made, 'json'] : [text, format];
  const [asked] = useDebouncedValue(job, 350);
  const checked = useQuery({
    queryKey: ['check', form, asked],
    queryFn: () => post<Checked>(`check?format=${form}`, asked),
    placeholderData: (before) => before,
    enabled: asked.trim() !== '' && (way === 'write' || built.parts.length > 0),
    retry: false,
  });
  const problems: Problem[] = useMemo(() => {
    const masked = job.split('\n').findIndex((line) => line.includes(MASK)) + 1;
    const own = masked ? [{ place: '', message: 'a secret is masked', cure: 'write it again: the server shows no secrets', line: masked }] : [];
    return [...own, ...(checked.data?.problems ?? [])];
  }, [checked.data, job]);
  const settled = asked === job && !checked.isFetching;
  const ready = settled && checked.data?.valid === true && problems.length === 0;

  async function submit() {
    setBusy(true);
    setError(undefined);
    try {
      const more = restore ? `&jobId=${restore}&isStartWithSavePoint=true` : '';
      const taken = await post<{ jobId: string | number }>(`submit-job?format=${form}${more}`, job);
      go(`/job/${taken.jobId}`);
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setBusy(false);
    }
  }

  // wherever the keys go at the moment: a button that has just been pressed has none
  useEffect(() => {
    function onKeys(event: KeyboardEvent) {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      event.stopPropagation();
      if (ready && !busy) void submit();
    }
    window.addEventListener('keydown', onKeys, true);
    return () => window.removeEventListener('keydown', onKeys, true);
  });

  return (
    <>
      <Group justify="space-between" mb="md" align="start">
        <Title order={1} size="h2">
          {restore ? `Restore job ${restore}` : copied ? `Copy of job ${copied}` : 'New job'}
        </Title>
        <Button onClick={submit} disabled={!ready} loading={busy} aria-keyshortcuts="Control+Enter" title="Control+Enter">
          {restore ? 'Restore' : 'Submit'}
        </Button>
      </Group>
      {restore && (
        <Alert color="water" mb="md">
          It goes on from its saved state, under its own id.
        </Alert>
      )}
      {error && <Failure error={error} />}
      <Tabs value={way} onChange={(value) => setWay(value ?? 'write')} mb="md">
        <Tabs.List>
          <Tabs.Tab value="write">Write</Tabs.Tab>
          <Tabs.Tab value="build">Build</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <div>
          {way === 'write' ? (
            <>
              <Group mb="sm">
                <SegmentedControl value={format} onChange={setFormat} data={['hocon', 'json', 'sql']} aria-label="Format" />
                <FileButton
                  onChange={async (file) => {
                    if (!file) return;
                    setFormat(file.name.endsWith('.json') ? 'json' : file.name.endsWith('.sql') ? 'sql' : 'hocon');
                    setText(await file.text());
                  }}
                >
                  {(props) => (
                    <Button variant="default" size="sm" {...props}>
                      Open a file
                    </Button>
                  )}
                </FileButton>
              </Group>
              <Editor text={text} problems={problems} onChange={setText} jump={jump} />
            </>
          ) : (
            <Builder
              built={built}
              onChange={setBuilt}
              problems={problems}
              onWrite={() => {
                setText(made);
                setFormat('json');
                setWay('write');
              }}
            />
          )}
        </div>
        <div>
          <section className="card" style={{ marginBottom: '1rem' }} aria-live="polite">
            <h2>Check</h2>
            {checked.error && <Failure error={checked.error} />}
            {problems.length > 0 ? (
              <ul className="problems">
                {problems.map((problem, index) => (
                  <li key={index}>
                    <button type="button" onClick={() => (way === 'write' ? setJump({ line: problem.line }) : goTo(problem))}>
                      <span className="state bad">{problem.message}</span>
                      {problem.cure && <div>{problem.cure}</div>}
                      <div className="place">
                        {problem.place}
                        {problem.line > 0 && way === 'write' && ` line ${problem.line}`}
                      </div>
                    </button>
                  </li>
                ))}
              </ul>
            ) : checked.data?.valid ? (
              <span className="state good">Nothing is wrong</span>
            ) : (
              <span className="quiet">{way === 'build' ? 'Add a source and a sink.' : 'Write a job.'}</span>
            )}
          </section>
          {checked.data?.plan && <Plan checked={checked.data.plan} />}
          <FirstRows job={job} form={form} ready={ready} />
        </div>
      </SimpleGrid>
    </>
  );
}

/** Brings the keys to the field that a problem is about, or to the part where it has none. */
function goTo(problem: Problem): void {
  const part = [...document.querySelectorAll<HTMLElement>('[data-part]')].find((one) => problem.place.startsWith(one.dataset.part!));
  const fields = [...(part?.querySelectorAll<HTMLElement>('[data-option]') ?? [])];
  (fields.find((one) => isOf(one.dataset.option!, problem)) ?? fields[0] ?? part)?.focus();
}

/** The first rows that the sinks would get, when they are asked for. */
function FirstRows({ job, form, ready }: { job: string; form: string; ready: boolean }) {
  const [found, setFound] = useState<Preview>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setFound(undefined);
    setError(undefined);
  }, [job, form]);

  async function show() {
    setBusy(true);
    setError(undefined);
    try {
      setFound(await post<Preview>(`preview?format=${form}`, job));
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <section className="card scroll" style={{ marginTop: '1rem' }} aria-live="polite">
      <Group justify="space-between" className="card-head" mb="sm">
        <h2 style={{ margin: 0 }}>First rows</h2>
        <Button variant="default" size="sm" onClick={show} disabled={!ready} loading={busy}>
          Show rows
        </Button>
      </Group>
      {error && <Failure error={error} />}
      {found?.tables.length === 0 && <p className="quiet">There are no rows.</p>}
      {found?.tables.map((table) => (
        <table className="table" key={table.table}>
          <caption className="mono">{table.table}</caption>
          <thead>
            <tr>
              {table.columns.map((column) => (
                <th key={column.name} title={column.type}>
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, place) => (
                  <td key={place} className="mono wrap">
                    {cell ?? <span className="quiet">null</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </section>
  );
}

function Plan({ checked }: { checked: NonNullable<Checked['plan']> }) {
  const tables = Object.entries(checked.tables);
  const steps = Object.fromEntries(checked.jobDag.vertexInfoMap.map((vertex) => [String(vertex.vertexId), vertexName(vertex.vertexName)]));
  return (
    <>
      <section className="card">
        <h2>Plan</h2>
        <Graph dag={checked.jobDag} />
        <p className="quiet">It needs {checked.slots} slots.</p>
      </section>
      {tables.length > 0 && (
        <section className="card scroll" style={{ marginTop: '1rem' }}>
          <h2>Columns</h2>
          <table className="table">
            <tbody>
              {tables.flatMap(([step, found]) =>
                found.map((table) => (
                  <tr key={`${step}-${table.path}`}>
                    <td>{steps[step] ?? `step ${step}`}</td>
                    <td className="mono">{table.path}</td>
                    <td className="mono wrap">{table.columns.map((column) => `${column.name} ${column.type}`).join(', ')}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}

/** The job in its JSON form. Parts in a row are joined by the names of their datasets. */
function jobOf(built: Built): object {
  const of = (kind: Kind) => built.parts.filter((part) => part.kind === kind);
  const [sources, transforms, sinks] = KINDS.map(of);
  const outputs = sources.map((_, index) => `source_${index + 1}`);
  let before = outputs;
  return {
    env: { 'job.mode': built.mode, 'job.name': built.name, ...(built.parallelism ? { parallelism: built.parallelism } : {}) },
    source: sources.map((part, index) => ({ plugin_name: part.name, plugin_output: outputs[index], ...part.values })),
    transform: transforms.map((part, index) => {
      const [input, output] = [before, `transform_${index + 1}`];
      before = [output];
      return { plugin_name: part.name, plugin_input: input, plugin_output: output, ...part.values };
    }),
    sink: sinks.map((part) => ({ plugin_name: part.name, plugin_input: before, ...part.values })),
  };
}

function Builder({ built, onChange, problems, onWrite }: { built: Built; onChange: (built: Built) => void; problems: Problem[]; onWrite: () => void }) {
  const plugins = useQuery({ queryKey: ['plugins'], queryFn: () => get<{ name: string; kinds: string[]; description: string }[]>('plugins'), staleTime: Infinity });
  const change = (part: Part, values: Values) => onChange({ ...built, parts: built.parts.map((one) => (one.key === part.key ? { ...one, values } : one)) });
  return (
    <>
      <section className="card" style={{ marginBottom: '1rem' }}>
        <SimpleGrid cols={{ base: 1, sm: 3 }}>
          <TextInput label="Name" value={built.name} onChange={(e) => onChange({ ...built, name: e.currentTarget.value })} />
          <Select label="Mode" data={['BATCH', 'STREAMING']} value={built.mode} allowDeselect={false} onChange={(mode) => onChange({ ...built, mode: mode ?? 'BATCH' })} />
          <NumberInput label="Parallelism" min={1} value={built.parallelism ?? ''} onChange={(n) => onChange({ ...built, parallelism: n === '' ? undefined : Number(n) })} placeholder="1" />
        </SimpleGrid>
      </section>
      {KINDS.map((kind) => (
        <section key={kind} aria-label={`${kind}s`}>
          {built.parts
            .filter((part) => part.kind === kind)
            .map((part, index) => (
              <PartForm
                key={part.key}
                part={part}
                place={`${kind}[${index}]`}
                problems={problems.filter((problem) => problem.place.startsWith(`${kind}[${index}]`))}
                onChange={(values) => change(part, values)}
                onRemove={() => onChange({ ...built, parts: built.parts.filter((one) => one.key !== part.key) })}
              />
            ))}
          <Select
            mb="md"
            aria-label={`Add a ${kind}`}
            placeholder={`Add a ${kind}`}
            searchable
            value={null}
            data={(plugins.data ?? []).filter((plugin) => plugin.kinds.includes(kind)).map((plugin) => plugin.name)}
            onChange={(name) => name && onChange({ ...built, parts: [...built.parts, { key: ++keys, kind, name, values: {} }] })}
          />
        </section>
      ))}
      <Button variant="default" onClick={onWrite} disabled={built.parts.length === 0}>
        Go on as text
      </Button>
    </>
  );
}

function PartForm({ part, place, problems, onChange, onRemove }: { part: Part; place: string; problems: Problem[]; onChange: (values: Values) => void; onRemove: () => void }) {
  const plugin = useQuery({ queryKey: ['plugin', part.kind, part.name], queryFn: () => get<PluginSchema>(`plugins/${part.kind}/${part.name}`), staleTime: Infinity });
  const [values, setValues] = useState(part.values);
  useEffect(() => {
    if (values !== part.values) onChange(values);
  }, [values]);
  return (
    <section className="card" style={{ marginBottom: '0.75rem' }} aria-label={`${part.kind} ${part.name}`} data-part={place} tabIndex={-1}>
      <Group justify="space-between" mb="xs" className="card-head">
        <h2 style={{ margin: 0 }}>
          <span className="quiet">{part.kind}</span> {part.name}
        </h2>
        <Button size="compact-xs" variant="subtle" color="gray" onClick={onRemove} aria-label={`Remove ${part.name}`}>
          Remove
        </Button>
      </Group>
      {plugin.error && <Failure error={plugin.error} />}
      {plugin.data && <OptionForm plugin={plugin.data} values={values} onChange={setValues} problems={problems} />}
    </section>
  );
}
