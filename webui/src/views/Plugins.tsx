import { Anchor, Badge, Group, Loader, SimpleGrid, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { get, type PluginSchema } from '../api';
import { Failure } from '../parts/Failure';
import { optionsOf } from '../parts/OptionForm';

interface Known {
  name: string;
  kinds: string[];
  description: string;
}

/** Every source, transform and sink; one of them with its options. */
export default function Plugins({ kind, name }: { kind?: string; name?: string }) {
  return kind && name ? <One kind={kind} name={name} /> : <All />;
}

function All() {
  const [text, setText] = useState('');
  const plugins = useQuery({ queryKey: ['plugins'], queryFn: () => get<Known[]>('plugins'), staleTime: Infinity });
  const wanted = text.toLowerCase();
  const found = (plugins.data ?? []).filter((one) => `${one.name} ${one.description}`.toLowerCase().includes(wanted));
  const groups = [
    { name: 'Connectors', found: found.filter((one) => !one.kinds.includes('transform')) },
    { name: 'Transforms', found: found.filter((one) => one.kinds.includes('transform')) },
  ];
  return (
    <>
      <Title order={1} size="h2" mb="md">
        Plugins
      </Title>
      <TextInput value={text} onChange={(e) => setText(e.currentTarget.value)} placeholder="Search" aria-label="Search plugins" w={260} mb="md" />
      {plugins.error && <Failure error={plugins.error} />}
      {groups
        .filter((group) => group.found.length)
        .map((group) => (
          <section key={group.name} aria-label={group.name}>
            <Title order={2} size="h4" mb="sm" mt="md">
              {group.name}
            </Title>
            <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
              {group.found.map((plugin) => (
                <article key={plugin.name} className="card">
                  <Group justify="space-between" mb={4} wrap="nowrap" align="start">
                    <strong className="wrap">{plugin.name}</strong>
                    <Group gap={4} wrap="nowrap">
                      {plugin.kinds.map((kind) => (
                        <Link key={kind} href={`/plugins/${kind}/${plugin.name}`} aria-label={`${plugin.name}, ${kind}`}>
                          <Badge variant="default" style={{ cursor: 'pointer', textTransform: 'none' }}>
                            {kind}
                          </Badge>
                        </Link>
                      ))}
                    </Group>
                  </Group>
                  <div className="quiet">{plugin.description}</div>
                </article>
              ))}
            </SimpleGrid>
          </section>
        ))}
    </>
  );
}

function One({ kind, name }: { kind: string; name: string }) {
  const plugin = useQuery({ queryKey: ['plugin', kind, name], queryFn: () => get<PluginSchema>(`plugins/${kind}/${name}`), staleTime: Infinity });
  if (plugin.error) return <Failure error={plugin.error} />;
  if (!plugin.data) return <Loader />;
  const idle = Object.entries(plugin.data.options.properties ?? {}).filter(([, schema]) => schema.idle);
  return (
    <>
      <Anchor component={Link} href="/plugins" size="sm">
        ← Plugins
      </Anchor>
      <Title order={1} size="h2" mt={4}>
        {plugin.data.name} <span className="quiet">{kind}</span>
      </Title>
      <p style={{ whiteSpace: 'pre-line', maxWidth: '46rem' }}>{plugin.data.description.replace(/\n +/g, '\n')}</p>
      <section className="card scroll">
        <h2>Options</h2>
        <table className="table">
          <thead>
            <tr>
              <th>Name</th>
              <th>Type</th>
              <th>Default</th>
              <th>Meaning</th>
            </tr>
          </thead>
          <tbody>
            {optionsOf(plugin.data).map((option) => (
              <tr key={option.name}>
                <td className="mono wrap">{option.name}</td>
                <td>{option.choices ? option.choices.join(', ') : option.secret ? 'secret' : option.type}</td>
                <td className="mono wrap">{option.required ? <Badge color="water" variant="light">required</Badge> : option.schema.default == null ? '' : JSON.stringify(option.schema.default)}</td>
                <td>{option.schema.description}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {idle.length > 0 && (
        <section className="card scroll" style={{ marginTop: '1rem' }}>
          <h2>Accepted, without effect</h2>
          <table className="table">
            <tbody>
              {idle.map(([option, schema]) => (
                <tr key={option}>
                  <td className="mono">{option}</td>
                  <td>{schema.idle}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}
